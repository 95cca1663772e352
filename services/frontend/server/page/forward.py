"""What the page asks of others, sent on by the server that it came from: one origin for a browser.

A browser can keep neither a token nor a key: whoever opens the page could read them. So where a
collector wants to know who sends, the page's spans go to its server, which shows its own. And in a
cloud workspace, where each port has a host name of its own behind a login, a browser's question
before a request to another one is turned away: requests to the backend take the same way there.

The targets are fixed, and what is taken is bounded: anybody can send here what the page sends.
"""

from __future__ import annotations

import http.client
import os
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from wsgiref.types import WSGIEnvironment

TRACES = "/v1/traces"
API = "/api/"
RAISES = "/rollbar/test"
"""The backend's, which makes an item for Rollbar; there where errors are made on purpose."""
ITEMS = "/rollbar/item/"
"""Rollbar's, for a page whose browser does not reach the emulator."""

MOST_BYTES = 1 << 20
MOST_ANSWER_BYTES = 8 << 20
FORBIDDEN = "403 Forbidden"
UNAVAILABLE = "503 Service Unavailable"


@dataclass(frozen=True)
class Answer:
    status: str
    kind: str = "application/octet-stream"
    body: bytes = b""


@dataclass(frozen=True)
class Sender:
    """An address that requests are sent on to, and what is shown there. `base`: in front of the
    path.
    """

    secure: bool
    address: str
    headers: Mapping[str, str] = field(default_factory=dict)
    context: ssl.SSLContext | None = None
    base: str = ""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Sender | None:
        """The collector, by OpenTelemetry's own variables; None where there is no endpoint.

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

    @classmethod
    def to(cls, url: str) -> Sender:
        """To an address without anything to show."""
        parts = urlsplit(url)
        return cls(parts.scheme == "https", parts.netloc, base=parts.path.rstrip("/"))

    def connection(self, seconds: float) -> http.client.HTTPConnection:
        if self.secure:
            return http.client.HTTPSConnection(self.address, timeout=seconds, context=self.context)
        return http.client.HTTPConnection(self.address, timeout=seconds)


@dataclass(frozen=True)
class Way:
    """What of one path goes on. `taken`: the request's headers that go along; no cookie ever does.

    `at_once`: of the server's threads; a target that hangs must not keep the page from being
    served.
    """

    sender: Sender
    methods: Collection[str]
    types: Collection[str]
    taken: Collection[str]
    seconds: float
    at_once: int
    prefix: str = ""
    """Of the path here, which the target does not know."""
    shows: bool = False
    """Whether the sender shows something of its own: a 401 is then not the browser's."""
    proxied: bool = False
    """Whether the target is to know who asked, and for which address."""
    public: str | None = None
    """That address, where the outside has another one for the page than this server."""


def traces(sender: Sender) -> Way:
    """The page's spans, to the collector."""
    types = ("application/x-protobuf", "application/json")
    return Way(sender, {"POST"}, types, ("content-encoding",), seconds=3, at_once=2, shows=True)


def api(url: str, public: str | None) -> Way:
    """What the page asks the backend for."""
    taken = ("accept", "baggage", "traceparent", "tracestate", "user-agent", "x-cruddur-user")
    return Way(
        Sender.to(url),
        {"GET", "POST"},
        ("application/json",),
        taken,
        seconds=10,
        at_once=3,
        proxied=True,
        public=public,
    )


def rollbar(url: str) -> Way:
    """The page's errors, to Rollbar."""
    taken = ("x-rollbar-access-token",)
    sender = Sender.to(url)
    return Way(sender, {"POST"}, ("application/json",), taken, 3, at_once=1, prefix="/rollbar")


class Forwarder:
    """Sends one kind of request on, and hands back the answer."""

    def __init__(self, way: Way, origins: Collection[str]) -> None:
        """`origins`: where browsers have the page from."""
        self._way = way
        self._origins = origins
        self._free = threading.BoundedSemaphore(way.at_once)

    def __call__(self, environ: WSGIEnvironment) -> Answer:
        refused = self._refusal(environ)
        if refused:
            return Answer(refused)
        if not self._free.acquire(blocking=False):
            return Answer(UNAVAILABLE)
        try:
            return self._send(environ)
        except (OSError, http.client.HTTPException):
            # Whatever keeps the target away: a browser's exporter tries again after a 503.
            return Answer(UNAVAILABLE)
        finally:
            self._free.release()

    def _send(self, environ: WSGIEnvironment) -> Answer:
        way = self._way
        method = environ["REQUEST_METHOD"]
        length = int(environ["CONTENT_LENGTH"]) if method == "POST" else 0
        body = environ["wsgi.input"].read(length)
        connection = way.sender.connection(way.seconds)
        try:
            headers = dict(self._headers(environ))
            connection.request(method, _target(environ, way), body or None, headers)
            answer = connection.getresponse()
            content = answer.read(MOST_ANSWER_BYTES + 1)
        finally:
            connection.close()
        if (way.shows and answer.status in {401, 403}) or len(content) > MOST_ANSWER_BYTES:
            # It is this server that was refused, not the browser, which can do nothing about it.
            return Answer("502 Bad Gateway")
        kind = answer.getheader("Content-Type", "application/octet-stream")
        return Answer(f"{answer.status} {answer.reason}", kind, content)

    def _headers(self, environ: WSGIEnvironment) -> Iterator[tuple[str, str]]:
        yield from self._way.sender.headers.items()
        if environ["REQUEST_METHOD"] == "POST":
            yield "Content-Type", environ["CONTENT_TYPE"]
        for name in self._way.taken:
            value = environ.get(f"HTTP_{name.upper().replace('-', '_')}")
            if value:
                yield name, value
        if self._way.proxied:
            # What the backend tells of a request is to be an address that people can open.
            parts = urlsplit(self._way.public or f"http://{environ.get('HTTP_HOST', '')}")
            port = parts.port or {"http": 80, "https": 443}[parts.scheme]
            yield "Host", f"{parts.hostname}:{port}"
            yield "X-Forwarded-Proto", parts.scheme
            seen = (environ.get("HTTP_X_FORWARDED_FOR"), environ.get("REMOTE_ADDR"))
            yield "X-Forwarded-For", ", ".join(filter(None, seen))

    def _refusal(self, environ: WSGIEnvironment) -> str | None:
        if environ["REQUEST_METHOD"] not in self._way.methods:
            return "405 Method Not Allowed"
        # Another site's page in the same browser: it may not fill the user's traces. Not compared
        # with Host: a site whose name was bound to this address anew sends its own there.
        origin = environ.get("HTTP_ORIGIN")
        foreign = origin is not None and origin not in self._origins
        if foreign or environ.get("HTTP_SEC_FETCH_SITE") == "cross-site":
            return FORBIDDEN
        if environ["REQUEST_METHOD"] != "POST":
            return None
        if environ.get("CONTENT_TYPE", "").partition(";")[0].strip() not in self._way.types:
            return "415 Unsupported Media Type"
        length = environ.get("CONTENT_LENGTH", "")
        if not length.isdigit():
            return "411 Length Required"
        return "413 Content Too Large" if int(length) > MOST_BYTES else None


def _target(environ: WSGIEnvironment, way: Way) -> str:
    """The path and query to ask for: made again of what was understood, whatever was written."""
    path = environ["PATH_INFO"].removeprefix(way.prefix).encode("latin-1")
    query = quote(environ.get("QUERY_STRING", ""), safe="=&%+")
    return f"{way.sender.base}{quote(path, safe='/@:')}" + (f"?{query}" if query else "")


def is_plain(path: str) -> bool:
    """Whether a path leads down only."""
    return not {"", ".", ".."} & {*path.strip("/").split("/")}


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
