"""Calls of gRPC as frames of HTTP/2 (RFC 9113), written and read by hand."""

from __future__ import annotations

import socket
from collections.abc import Iterator

# Kinds of frames, and a flag of two of them.
DATA, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE = 0, 1, 3, 4, 8
PADDED, END_HEADERS = 8, 4
# One of the numbers in SETTINGS.
MAX_CONCURRENT_STREAMS = 3

HEADER_BYTES = 9


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    length = len(payload).to_bytes(3, "big")
    return length + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def frames(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind, stream and payload of each that is there in whole."""
    while len(content) >= HEADER_BYTES:
        end = HEADER_BYTES + int.from_bytes(content[:3], "big")
        if len(content) < end:
            return
        yield content[3], int.from_bytes(content[5:9], "big"), content[HEADER_BYTES:end]
        content = content[end:]


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0)
# POST, http, and literals without indexing.
FIELDS = b"\x83\x86" + b"".join(
    b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value
    for name, value in (
        (b":path", b"/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
        (b":authority", b"127.0.0.1"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    )
)


def call_begins(stream: int) -> bytes:
    """A call's beginning; its message is to follow."""
    return frame(HEADERS, END_HEADERS, stream, FIELDS)


def message_of(size: int) -> bytes:
    """What a message of so many bytes begins with."""
    return b"\0" + size.to_bytes(4, "big")


def heard(one: socket.socket, stream: int) -> set[int]:
    """Kinds of the frames that have come for a stream; nothing is read away."""
    try:
        content = one.recv(65536, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return set()
    return {kind for kind, about, _ in frames(content) if about == stream}
