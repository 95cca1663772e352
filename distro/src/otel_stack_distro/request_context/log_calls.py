"""A log call that OpenTelemetry cannot follow does not end in the app.

Python's own handlers print what went wrong and go on; upstream's raises it into the call
(open-telemetry/opentelemetry-python#4261 names `handleError` as the way): `log.info("%d", "x")` was
a 500, and so was an `extra` that holds itself.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]
    BaseInstrumentor,
)
from opentelemetry.instrumentation.logging.handler import LoggingHandler


class LogCallInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Has the record sent as text where it cannot be sent as it is."""

    def instrumentation_dependencies(self) -> Collection[str]:
        return ()

    def _instrument(self, **_: Any) -> None:
        self._original = LoggingHandler.emit
        LoggingHandler.emit = _emit_or_handle(self._original)  # type: ignore[method-assign]

    def _uninstrument(self, **_: Any) -> None:
        LoggingHandler.emit = self._original  # type: ignore[method-assign]


def _emit_or_handle(original: Any) -> Any:
    def emit(handler: LoggingHandler, record: logging.LogRecord) -> None:
        # Python prints warnings to stderr where nobody set logging up. OpenTelemetry's handler
        # alone is nobody, and a script must not fall silent for it.
        last = logging.lastResort
        if last and logging.getLogger().handlers == [handler] and record.levelno >= last.level:
            last.handle(record)
        if record.name.partition(".")[0] == "opentelemetry":
            # Of an exporter that fails: sent through it, it would only feed itself.
            return
        try:
            original(handler, record)
        except Exception:  # noqa: BLE001 - arguments are the app's, and may raise anything
            try:
                original(handler, _as_text(record))
            except Exception:  # noqa: BLE001
                handler.handleError(record)

    return emit


def _as_text(record: logging.LogRecord) -> logging.LogRecord:
    """Without what was its `extra`; the error, where there is one, by its type alone."""
    try:
        message = record.getMessage()
    except Exception as wrong:  # noqa: BLE001
        message = f"{record.msg!r} % {record.args!r} ({type(wrong).__name__})"
    kind = record.exc_info[0] if record.exc_info else None
    if kind is not None:
        message = f"{message} ({kind.__name__})"
    return logging.makeLogRecord(
        {
            "name": record.name,
            "levelno": record.levelno,
            "levelname": record.levelname,
            "created": record.created,
            "msg": message,
        }
    )
