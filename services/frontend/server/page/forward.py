"""The page's spans, sent on to a collector that wants to know who sends.

A browser can keep neither a token nor a key: whoever opens the page could read them. So the spans
go to the server that the page came from, which shows its own. What it takes is bounded: anybody can
send here what the page sends.
"""

from __future__ import annotations

import http.client
import os
import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from wsgiref.types import WSGIEnvironment

PATH = "/v1/traces"
MOST_BYTES = 1 << 20
TYPES = ("application/x-protobuf", "application/json")
SECONDS = 3.0
AT_ONCE = 2
"""Of the server's four threads: a collector that hangs must not keep the page from being served."""

Answer = tuple[str, bytes]
"""Status line and body."""


@dataclass(frozen=True)
class Sender:
    """Where OTLP goes, and what is shown there."""

    secure: bool
    address: str
    headers: Mapping[str, str]
    context: ssl.SSLContext | None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Sender | None:
        """By OpenTelemetry's own variables; None where there is no endpoint.

        Raises ValueError, one line that names the variables.
        """
        name = "OTEL_EXPORTER_OTLP_ENDPOINT"
        if name not in environ:
            return None
        parts = urlsplit(environ[name])
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{name} has to be like https://collector:4318.")
        pairs = (pair.partition("=") for pair in _given(environ, "HEADERS").split(",") if pair)
        return cls(
            secure=parts.scheme == "https",
            address=parts.netloc,
            headers={key.strip(): unquote(value.strip()) for key, _, value in pairs},
            context=_context(environ) if parts.scheme == "https" else None,
        )


class Forwarder:
    """Takes one export of spans from the page, and hands on the collector's answer."""

    def __init__(self, sender: Sender, origins: Collection[str]) -> None:
        """`origins`: where browsers have the page from."""
        self._sender = sender
        self._origins = origins
        self._free = threading.BoundedSemaphore(AT_ONCE)

    def __call__(self, environ: WSGIEnvironment) -> Answer:
        refused = _refusal(environ, self._origins)
        if refused:
            return refused, b""
        if not self._free.acquire(blocking=False):
            return "503 Service Unavailable", b""
        try:
            return self._send(environ)
        except (OSError, http.client.HTTPException):
            # Whatever keeps the collector away: a browser's exporter tries again after a 503.
            return "503 Service Unavailable", b""
        finally:
            self._free.release()

    def _send(self, environ: WSGIEnvironment) -> Answer:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        headers = {**self._sender.headers, "Content-Type": environ["CONTENT_TYPE"]}
        if environ.get("HTTP_CONTENT_ENCODING"):
            headers["Content-Encoding"] = environ["HTTP_CONTENT_ENCODING"]
        connection = self._connection()
        try:
            connection.request("POST", PATH, body, headers)
            answer = connection.getresponse()
            content = answer.read(MOST_BYTES)
        finally:
            connection.close()
        if answer.status in {401, 403}:
            # It is this server that was refused, not the browser, which can do nothing about it.
            return "502 Bad Gateway", b""
        return f"{answer.status} {answer.reason}", content

    def _connection(self) -> http.client.HTTPConnection:
        address = self._sender.address
        if self._sender.context:
            return http.client.HTTPSConnection(
                address, timeout=SECONDS, context=self._sender.context
            )
        return http.client.HTTPConnection(address, timeout=SECONDS)


def _refusal(environ: WSGIEnvironment, origins: Collection[str]) -> str | None:
    if environ["REQUEST_METHOD"] != "POST":
        return "405 Method Not Allowed"
    # Another site's page in the same browser: it may not fill the user's traces. Not compared with
    # Host: a site whose name was bound to this address anew sends its own there.
    origin = environ.get("HTTP_ORIGIN")
    foreign = origin is not None and origin not in origins
    if foreign or environ.get("HTTP_SEC_FETCH_SITE") == "cross-site":
        return "403 Forbidden"
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip() not in TYPES:
        return "415 Unsupported Media Type"
    length = environ.get("CONTENT_LENGTH", "")
    if not length.isdigit():
        return "411 Length Required"
    return "413 Content Too Large" if int(length) > MOST_BYTES else None


def _context(environ: Mapping[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=_given(environ, "CERTIFICATE") or None)
        certificate = _given(environ, "CLIENT_CERTIFICATE")
        if certificate:
            context.load_cert_chain(certificate, _given(environ, "CLIENT_KEY") or None, password="")
    except OSError as refused:
        raise ValueError(
            "OTEL_EXPORTER_OTLP_CERTIFICATE, _CLIENT_CERTIFICATE and _CLIENT_KEY cannot be used "
            f"({refused})."
        ) from None
    return context


def _given(environ: Mapping[str, str], name: str) -> str:
    return environ.get(f"OTEL_EXPORTER_OTLP_{name}", "")
