"""Who sends slowly, or nothing at all, keeps nobody else from sending."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

import pytest

from stack.waiting import wait_for
from tests.overload.harness.bombs import BODY
from tests.overload.harness.connections import as_many_as, closed, connections, send
from tests.overload.harness.grpc_sender import export, status
from tests.overload.harness.watch import Watch, fresh_trace, small_batch

if TYPE_CHECKING:
    from tests.faults.harness.bench import Bench

pytestmark = [pytest.mark.collector, pytest.mark.only_native]

CLOSED_SECONDS = 25
"""The config's longest timeout is 10 s; the rest is for a busy machine."""

HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BODY_FOLLOWS = HEAD + b"Content-Type: application/x-protobuf\r\nContent-Length: %d\r\n\r\n"


def port(bench: Bench, name: str) -> int:
    return bench.plan.settings.port(name)


@pytest.mark.parametrize("name", ["OTLP_HTTP_PORT", "OTLP_GRPC_PORT"])
def test_ten_thousand_idle_connections(bench: Bench, name: str) -> None:
    with Watch(bench) as watch, connections(port(bench, name), as_many_as(10_000)) as opened:
        with export(bench) as call:
            assert status(call, small_batch(fresh_trace())) == "OK"
        if name == "OTLP_HTTP_PORT":
            wait_for(
                "the idle connections to be closed",
                lambda: closed(opened),
                until=lambda count: count == len(opened),
                seconds=CLOSED_SECONDS,
                pause=0.5,
            )
    watch.check()


def test_headers_byte_by_byte(bench: Bench) -> None:
    with Watch(bench) as watch, connections(port(bench, "OTLP_HTTP_PORT"), 400) as opened:
        send(opened, HEAD)

        def one_byte_more() -> int:
            send(opened, b"x")
            return closed(opened)

        wait_for(
            "them to be closed",
            one_byte_more,
            until=lambda count: count == len(opened),
            seconds=CLOSED_SECONDS,
            pause=0.2,
        )
    watch.check()


def test_bodies_byte_by_byte(bench: Bench) -> None:
    with Watch(bench) as watch, connections(port(bench, "OTLP_HTTP_PORT"), 400) as opened:
        send(opened, BODY_FOLLOWS % 1000)

        def one_byte_more() -> int:
            send(opened, b"\n")
            return closed(opened)

        wait_for(
            "them to be closed",
            one_byte_more,
            until=lambda count: count == len(opened),
            seconds=CLOSED_SECONDS,
            pause=0.2,
        )
    watch.check()


def test_large_bodies_that_stall(bench: Bench) -> None:
    """Thirty times 7 MiB would be more than the whole memory."""
    with Watch(bench) as watch, connections(port(bench, "OTLP_HTTP_PORT"), 30) as opened:
        send(opened, BODY_FOLLOWS % BODY + bytes(BODY - (1 << 20)))
        wait_for(
            "them to be closed",
            lambda: closed(opened),
            until=lambda count: count == len(opened),
            seconds=CLOSED_SECONDS,
            pause=0.2,
        )
    watch.check()


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame of HTTP/2."""
    return (
        len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload
    )


# A kind of frame, and one of the numbers in it (RFC 9113, 6.5).
SETTINGS, MAX_CONCURRENT_STREAMS = 4, 3
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0)
# POST, http, and literals without indexing: path, authority, content-type, te.
HEADERS = b"\x83\x86" + b"".join(
    b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value
    for name, value in (
        (b":path", b"/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
        (b":authority", b"127.0.0.1"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    )
)


def test_one_connection_is_given_few_streams(bench: Bench) -> None:
    with connections(port(bench, "OTLP_GRPC_PORT"), 1) as opened:
        send(opened, PREFACE)
        first = opened[0].recv(4096)

    length, kind = int.from_bytes(first[:3], "big"), first[3]
    pairs = struct.iter_unpack(">HI", first[9 : 9 + length])
    assert kind == SETTINGS
    assert dict(pairs).get(MAX_CONCURRENT_STREAMS) == 32


def test_streams_that_are_reset_at_once(bench: Bench) -> None:
    pairs = b"".join(
        frame(1, 4, stream, HEADERS) + frame(3, 0, stream, (8).to_bytes(4, "big"))
        for stream in range(1, 20_001, 2)
    )

    with Watch(bench) as watch, connections(port(bench, "OTLP_GRPC_PORT"), 4) as opened:
        send(opened, PREFACE + pairs)
        with export(bench) as call:
            wait_for(
                "a sender beside them to be served",
                lambda: status(call, small_batch(fresh_trace())),
                until=lambda said: said == "OK",
                seconds=10,
            )
    watch.check()


def test_streams_that_stall(bench: Bench) -> None:
    """More than one connection may have, from many: each begins a message of 8 MiB."""
    begun = frame(1, 4, 1, HEADERS) + frame(
        0, 0, 1, b"\0" + (8 << 20).to_bytes(4, "big") + bytes(9000)
    )

    with Watch(bench) as watch, connections(port(bench, "OTLP_GRPC_PORT"), 200) as opened:
        send(opened, PREFACE + begun)
        with export(bench) as call:
            # Those that are let in fill the memory that there is for them.
            for answer in ("RESOURCE_EXHAUSTED", "OK"):
                wait_for(
                    f"a sender beside them to be told {answer}",
                    lambda: status(call, small_batch(fresh_trace())),
                    until=lambda said, answer=answer: said == answer,  # type: ignore[misc]
                    seconds=CLOSED_SECONDS,
                    pause=0.2,
                )
    watch.check()


def test_headers_without_end(bench: Bench) -> None:
    with Watch(bench) as watch, export(bench) as call:
        flood = tuple((f"h{number}", "x" * 1000) for number in range(1000))
        said = status(call, small_batch(fresh_trace()), metadata=flood)
    assert said != "OK"
    watch.check()


@pytest.mark.parametrize("size", [BODY + 1024, 32 << 20])
def test_a_message_above_the_limit(bench: Bench, size: int) -> None:
    with Watch(bench) as watch, export(bench, max_send_message_length=-1) as call:
        said = status(call, b"\x0a" + bytes(size))
    assert said == "RESOURCE_EXHAUSTED"
    watch.check()


def test_idle_time_is_measured(bench: Bench) -> None:
    """A sender that keeps its connection and pauses for as long as an SDK does is not cut off."""
    with connections(port(bench, "OTLP_HTTP_PORT"), 1) as opened:
        body = small_batch(fresh_trace())
        for pause in (0.0, 6.0):
            time.sleep(pause)
            opened[0].sendall(BODY_FOLLOWS % len(body) + body)
            answer = opened[0].recv(4096)
            assert answer.startswith(b"HTTP/1.1 200"), answer
