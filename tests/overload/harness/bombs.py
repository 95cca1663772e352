"""What an attacker, or a broken program, posts."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import zstandard

from tests.overload.harness.wire import attribute, field, nested, request, span, text

BODY = 8 * 1024 * 1024
"""What the shipped config takes, and a little less than that for what surrounds the bomb."""
ROOM = BODY - 256
PROTOBUF = "application/x-protobuf"
JSON = "application/json"


@dataclass(frozen=True)
class Bomb:
    """`refused`: whether the collector says 4xx; else it is within all limits, and taken."""

    name: str
    make: Callable[[], bytes]
    content_type: str = PROTOBUF
    encoding: str = ""
    refused: bool = True

    @property
    def headers(self) -> dict[str, str]:
        encoding = {"Content-Encoding": self.encoding} if self.encoding else {}
        return {"Content-Type": self.content_type, **encoding}


def gzip_to_10_gigabytes() -> bytes:
    # Members one after the other are one stream.
    return gzip.compress(bytes(64 << 20), 9) * 160


def zstd_window() -> bytes:
    """A frame that asks for a window of 512 MiB and holds eleven bytes."""
    block = (1 | 1 << 1 | 10 << 3).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\x00" + bytes([19 << 3]) + block


def numbered(count: int) -> bytes:
    return b"".join(field(9, field(1, b"%x" % number)) for number in range(count))


def attributes_as_many_as_pass() -> bytes:
    each = numbered(1000)
    return request(*(span(each) for _ in range(380)))


def json_nesting() -> bytes:
    depth = 10**5
    value = b'{"arrayValue":{"values":[' * depth + b'{"stringValue":"x"}' + b"]}}" * depth
    return (
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"' + b"ab" * 16 + b'","spanId":"'
        b"cdcdcdcdcdcdcdcd"
        b'","name":"x","attributes":[{"key":"k","value":' + value + b"}]}]}]}]}"
    )


def json_spans(each: bytes = b"{}", most: int = ROOM) -> bytes:
    spans = b",".join([each] * min(most, ROOM // (len(each) + 1)))
    return b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + spans + b"]}]}]}"


def noise(seed: int) -> Callable[[], bytes]:
    """A good request cut off, or with bytes of it replaced."""

    def make() -> bytes:
        draw = random.Random(seed)
        good = request(*(span(field(9, attribute(b"k", text(b"v")))) for _ in range(50)))
        content = bytearray(good[: draw.randrange(10, len(good) - 1)])
        for _ in range(20):
            content[draw.randrange(len(content))] = draw.randrange(256)
        # The first length is right no more in any case: what follows is not to be a valid request.
        return bytes(content[:-1])

    return make


BOMBS = (
    Bomb("10 MB of gzip are 10 GB", gzip_to_10_gigabytes, encoding="gzip"),
    Bomb(
        "gzip in gzip", lambda: gzip.compress(gzip.compress(bytes(64 << 20)) * 100), encoding="gzip"
    ),
    Bomb("deflate", lambda: zlib.compress(bytes(256 << 20), 9), encoding="deflate"),
    Bomb("zstd", lambda: zstandard.compress(bytes(64 << 20)) * 160, encoding="zstd"),
    Bomb("zstd that asks for 512 MiB", zstd_window, encoding="zstd"),
    Bomb("snappy that says 4 GiB", lambda: b"\xff\xff\xff\xff\x0f" + bytes(20), encoding="snappy"),
    Bomb(
        "64 MiB of text", lambda: request(span(field(9, attribute(b"k", text(b"x" * (64 << 20))))))
    ),
    Bomb("4 million attributes of nothing", lambda: request(span(b"\x4a\0" * (ROOM // 2)))),
    # Whole: cut off, it would be refused for that.
    Bomb("900,000 attributes", lambda: request(span(numbered(900_000)))),
    Bomb("4 million spans of nothing", lambda: field(1, field(2, b"\x12\0" * (ROOM // 2)))),
    Bomb("4 million resources of nothing", lambda: b"\x0a\0" * (ROOM // 2)),
    Bomb("4 million events of nothing", lambda: request(span(b"\x5a\0" * (ROOM // 2)))),
    Bomb("values 10^4 deep", lambda: request(span(field(9, attribute(b"k", nested(10**4)))))),
    Bomb("values 10^5 deep", lambda: request(span(field(9, attribute(b"k", nested(10**5)))))),
    Bomb("JSON 10^5 deep", json_nesting, JSON),
    Bomb("JSON of brackets", lambda: b"[" * ROOM, JSON),
    Bomb("JSON of spans of nothing", json_spans, JSON),
    Bomb("JSON of nulls", lambda: json_spans(b"null"), JSON),
    # More would be too heavy by their bytes and commas alone.
    Bomb("JSON of numbers", lambda: json_spans(b"1", 3_500_000), JSON),
    Bomb("a length of 2^63", lambda: b"\x0a" + b"\xff" * 8 + b"\x7f" + b"x" * 99),
    Bomb("wrong wire types", lambda: b"\x08\x96\x01" * 100_000),
    Bomb("groups in groups", lambda: b"\x0b" * 100_000),
    *(Bomb(f"noise {seed}", noise(seed)) for seed in range(3)),
    # Within all limits.
    Bomb("380 spans of 1000 attributes", attributes_as_many_as_pass, refused=False),
    Bomb(
        "8 MiB of text",
        lambda: request(span(field(9, attribute(b"k", text(b"x" * (ROOM - 256)))))),
        refused=False,
    ),
    Bomb(
        "300,000 attributes",
        lambda: request(span(numbered(300_000))),
        refused=False,
    ),
)
