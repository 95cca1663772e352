"""A vendor that refuses everything and repeats in its answer all headers that it got, keys too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from emulators.core.otlp import error_body
from tests.local_http import Handler, serve

UNAUTHENTICATED = 16
SECRET_NAME = re.compile(r"(?i)(key|token|team|authorization)$")


@dataclass
class RepeatingVendor:
    """`got`: what it was sent in headers. Also an HTTPS proxy that lets nobody through, for vendors
    whose address cannot be set.
    """

    url: str = ""
    got: set[str] = field(default_factory=set)


@contextmanager
def repeating_vendor() -> Iterator[RepeatingVendor]:
    vendor = RepeatingVendor()

    class Repeating(Handler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            if self.command == "CONNECT":
                self.answer(502)
                return
            self.body()
            # Keys first: who shows the beginning of an answer has to show them.
            keys = [value for name, value in self.headers.items() if SECRET_NAME.search(name)]
            said = " ".join([*keys, *self.headers.values()])
            vendor.got.add(said)
            refused = error_body("protobuf", UNAUTHENTICATED, f"{said} is not known here")
            self.answer(401, refused, {"Content-Type": "application/x-protobuf"})

    with serve(Repeating) as vendor.url:
        yield vendor
