"""A response that Flask streams belongs to its request.

The server calls the app's generator once Flask is done with the request: its spans began traces of
their own, its log records had no trace id, and an error in it was nowhere. Upstream has an issue
for the server span, which ends too early (open-telemetry/opentelemetry-python-contrib#3401).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from typing import Any

import flask.app
from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]
    BaseInstrumentor,
)
from opentelemetry.trace import Status, StatusCode

_tracer = trace.get_tracer("request_context")


class StreamingInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Puts a context around each chunk of a response of any Flask app."""

    def instrumentation_dependencies(self) -> Collection[str]:
        return ("flask >= 3.1",)

    def _instrument(self, **_: Any) -> None:
        # FlaskInstrumentor puts a subclass in its place in `flask`, not in `flask.app`.
        self._original = flask.app.Flask.__call__
        flask.app.Flask.__call__ = _call_within(self._original)  # type: ignore[method-assign]

    def _uninstrument(self, **_: Any) -> None:
        flask.app.Flask.__call__ = self._original  # type: ignore[method-assign]


def _call_within(original: Any) -> Any:
    def call(app: flask.Flask, environ: dict[str, Any], start_response: Any) -> Any:
        during: list[Context] = []

        def noting(*args: Any, **named: Any) -> Any:
            # Of the request: Flask answers before it ends the server span's context.
            during[:] = [context.get_current()]
            return start_response(*args, **named)

        chunks = original(app, environ, noting)
        # gunicorn hands a file to the kernel, and knows it by its class.
        whole = isinstance(chunks, environ.get("wsgi.file_wrapper", ()))
        if whole or not during or not trace.get_current_span(*during).get_span_context().is_valid:
            return chunks
        return _WithinContext(chunks, during[0])

    return call


class _WithinContext:
    """The response's chunks, each made within the request's context."""

    def __init__(self, chunks: Any, of_request: Context) -> None:
        self._chunks = chunks
        self._context = of_request
        self._server_span = trace.get_current_span(of_request)
        self._began = time.time_ns()
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        token = context.attach(self._context)
        try:
            if self._iterator is None:
                self._iterator = iter(self._chunks)
            return next(self._iterator)
        except StopIteration:
            raise
        except Exception as error:
            self._record(error)
            raise
        finally:
            # A span that the generator has open stays the current one in it.
            self._context = context.get_current()
            context.detach(token)

    def close(self) -> None:
        """Also when the client has left: what the app then does belongs to the request too."""
        close = getattr(self._chunks, "close", None)
        if close is None:
            return
        token = context.attach(self._context)
        try:
            close()
        except Exception as error:
            self._record(error)
            raise
        finally:
            context.detach(token)

    def _record(self, error: Exception) -> None:
        """As a span from the stream's begin to its error: the server span is over by then, under
        stream_with_context too.
        """
        span = _tracer.start_span(
            f"{getattr(self._server_span, 'name', 'response')} stream",
            trace.set_span_in_context(self._server_span),
            start_time=self._began,
        )
        span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        span.end()
