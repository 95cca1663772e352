"""OTLP's protobuf written by hand: a library would refuse to write what a bomb is made of."""

from __future__ import annotations

import os

BYTES = 2


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field: a text or a message."""
    return varint(number << 3 | BYTES) + varint(len(content)) + content


def text(value: bytes) -> bytes:
    """An AnyValue of a string."""
    return field(1, value)


def attribute(key: bytes, value: bytes = b"") -> bytes:
    """A KeyValue; `value` is an AnyValue."""
    return field(1, key) + field(2, value)


def span(attributes: bytes = b"", *, name: bytes = b"bomb", trace: bytes | None = None) -> bytes:
    """One Span of now; `attributes` are fields that are written already."""
    now = int.from_bytes(os.urandom(3), "little") + 1_700_000_000 * 10**9
    return b"".join(
        (
            field(1, trace or os.urandom(16)),
            field(2, os.urandom(8)),
            field(5, name),
            b"\x39" + now.to_bytes(8, "little"),
            b"\x41" + (now + 10**6).to_bytes(8, "little"),
            attributes,
        )
    )


def request(*spans: bytes) -> bytes:
    """An ExportTraceServiceRequest."""
    return field(1, field(2, b"".join(field(2, one) for one in spans)))


def nested(depth: int) -> bytes:
    """An AnyValue that holds a list that holds an AnyValue, `depth` times."""
    parts = [text(b"x")]
    length = len(parts[0])
    for _ in range(depth):
        for tag in (b"\x0a", b"\x2a"):
            head = tag + varint(length)
            length += len(head)
            parts.append(head)
    return b"".join(reversed(parts))
