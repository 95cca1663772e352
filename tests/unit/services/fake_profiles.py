"""A profiles-flask that behaves as a test wants: a real HTTP server on a port of its own."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REFUSES = "http://127.0.0.1:1"
"""Nobody listens on port 1."""


@dataclass
class FakeProfiles:
    """`asked`: the path of each request, query included. `ends`: set when the test is over."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    ends: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serve_profiles(
    answer: Callable[[BaseHTTPRequestHandler, FakeProfiles], None],
) -> Iterator[FakeProfiles]:
    fake = FakeProfiles()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.asked.append(self.path)
            answer(self, fake)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        fake.ends.set()
        server.shutdown()
        server.server_close()
        thread.join()


def everybody(handler: BaseHTTPRequestHandler, _fake: FakeProfiles) -> None:
    """Knows each handle that it is asked for."""
    handles = handler.path.partition("handles=")[2].split("%2C")
    profiles = {
        handle: {"display_name": handle.title(), "picture": f"data:,{handle}"} for handle in handles
    }
    send(handler, 200, json.dumps({"profiles": profiles}).encode())


def send(handler: BaseHTTPRequestHandler, status: int, content: bytes) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)
