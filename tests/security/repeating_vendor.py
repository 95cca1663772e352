"""A vendor that refuses everything and repeats in its answer all headers that it got, keys too."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from standins.otlp import error_body

if TYPE_CHECKING:
    from collections.abc import Iterator

UNAUTHENTICATED = 16


class RepeatingVendor(ThreadingHTTPServer):
    """`got`: what it was sent in headers. Also an HTTPS proxy that lets nobody through, for vendors
    whose address cannot be set.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RepeatingVendor

    def do_CONNECT(self) -> None:
        self.send_response(502)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = " ".join(f"{name}: {value}" for name, value in self.headers.items())
        self.server.got.add(said)
        body = error_body("protobuf", UNAUTHENTICATED, f"I do not know {said}")
        self.send_response(401)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def repeating_vendor() -> Iterator[RepeatingVendor]:
    with RepeatingVendor() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
