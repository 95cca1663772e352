"""A profiles-flask that behaves as a test wants: a real HTTP server on a port of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.local_http import Handler, serve

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
    answer: Callable[[Handler, FakeProfiles], None],
) -> Iterator[FakeProfiles]:
    fake = FakeProfiles()

    class Profiles(Handler):
        def respond(self) -> None:
            fake.asked.append(self.path)
            answer(self, fake)

    with serve(Profiles) as fake.url:
        try:
            yield fake
        finally:
            fake.ends.set()


def everybody(handler: Handler, _fake: FakeProfiles) -> None:
    """Knows each handle that it is asked for."""
    handles = handler.path.partition("handles=")[2].split("%2C")
    profiles = {
        handle: {"display_name": handle.title(), "picture": f"data:,{handle}"} for handle in handles
    }
    handler.answer(200, json.dumps({"profiles": profiles}).encode())
