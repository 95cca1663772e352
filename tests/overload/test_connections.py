"""Who sends slowly, or nothing at all, keeps nobody else from sending."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from stack.waiting import wait_for
from tests.faults.harness.bench import Bench
from tests.overload.harness.bombs import BODY
from tests.overload.harness.connections import (
    CLOSED_SECONDS,
    as_many_as,
    connections,
    send,
    wait_until_closed,
)
from tests.overload.harness.grpc_sender import export, status
from tests.overload.harness.http2 import (
    DATA,
    HEADERS,
    MAX_CONCURRENT_STREAMS,
    PADDED,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    call_begins,
    frame,
    frames,
    heard,
    message_of,
)
from tests.overload.harness.watch import SLOWEST_SECONDS, Watch, fresh_trace, small_batch
from tests.overload.harness.wire import field

pytestmark = [pytest.mark.collector, pytest.mark.only_native]

HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BODY_FOLLOWS = HEAD + b"Content-Type: application/x-protobuf\r\nContent-Length: %d\r\n\r\n"


ROOM_FOR_CALLS = 48
"""Of all senders; collector/build/admission."""

STALLED_SECONDS = 10
"""After which the collector ends what has not come in whole: a sender that is served only then was
kept waiting by it."""

SERVED_SECONDS = 4
"""For a machine so slow that the stalled have ended before anybody could ask."""


def before_they_end(began: float) -> float:
    """Seconds until shortly before what began to stall then, on the monotonic clock, ends."""
    return max(SERVED_SECONDS, began + STALLED_SECONDS - 1 - time.monotonic())


def post(bench: Bench, body: bytes) -> int:
    kind = {"Content-Type": "application/x-protobuf"}
    url = f"{bench.otlp_url}/v1/traces"
    return requests.post(url, body, headers=kind, timeout=30).status_code


def served(call: Callable[..., bytes], seconds: float) -> None:
    wait_for(
        "a sender beside them to be served",
        lambda: status(call, small_batch(fresh_trace())),
        until=lambda said: said == "OK",
        seconds=seconds,
    )


def port(bench: Bench, name: str) -> int:
    return bench.plan.settings.port(name)


@pytest.mark.parametrize("name", ["OTLP_HTTP_PORT", "OTLP_GRPC_PORT"])
def test_ten_thousand_idle_connections(bench: Bench, name: str) -> None:
    with Watch(bench) as watch, connections(port(bench, name), as_many_as(10_000)) as opened:
        with export(bench) as call:
            served(call, 30)
        if name == "OTLP_HTTP_PORT":
            wait_until_closed(opened)
    watch.check()


@pytest.mark.parametrize("begun", [HEAD, BODY_FOLLOWS % 1000], ids=["headers", "bodies"])
def test_byte_by_byte(bench: Bench, begun: bytes) -> None:
    with Watch(bench) as watch, connections(port(bench, "OTLP_HTTP_PORT"), 400) as opened:
        send(opened, begun)
        wait_until_closed(opened, meanwhile=lambda: send(opened, b"x"))
    watch.check()


def test_large_bodies_that_stall(bench: Bench) -> None:
    """Thirty times 7 MiB would be more than the whole memory."""
    # A field that no one knows costs nothing to decode.
    large = small_batch(fresh_trace()) + field(1000, bytes(BODY - (1 << 20)))
    with Watch(bench) as watch, connections(port(bench, "OTLP_HTTP_PORT"), 30) as opened:
        began = time.monotonic()
        send(opened, BODY_FOLLOWS % BODY + bytes(BODY - (1 << 20)))
        for _ in range(5):
            # What came at once counts as coming for a quarter of a second: until then who asks is
            # told to come again. Where nothing gave way, it would be for ten seconds.
            wait_for(
                "a large body to be taken",
                lambda: post(bench, large),
                until=lambda said: said == 200,
                seconds=before_they_end(began),
            )
        wait_until_closed(opened)
    watch.check()


def test_one_connection_is_given_few_streams(bench: Bench) -> None:
    with connections(port(bench, "OTLP_GRPC_PORT"), 1) as opened:
        send(opened, PREFACE)
        kind, _, first = next(frames(opened[0].recv(4096)))

    assert kind == SETTINGS
    assert dict(struct.iter_unpack(">HI", first)).get(MAX_CONCURRENT_STREAMS) == 32


def test_streams_that_are_reset_at_once(bench: Bench) -> None:
    pairs = b"".join(
        call_begins(stream) + frame(RST_STREAM, 0, stream, (8).to_bytes(4, "big"))
        for stream in range(1, 20_001, 2)
    )

    with Watch(bench) as watch, connections(port(bench, "OTLP_GRPC_PORT"), 4) as opened:
        send(opened, PREFACE + pairs)
        with export(bench) as call:
            served(call, 30)
    watch.check()


STALLED = PREFACE + call_begins(1) + frame(DATA, 0, 1, message_of(8 << 20) + bytes(9000))


def answered(one: socket.socket) -> bool:
    return bool({HEADERS, RST_STREAM} & heard(one, 1))


def test_a_call_that_stalls_is_ended(bench: Bench) -> None:
    with connections(port(bench, "OTLP_GRPC_PORT"), 1) as opened:
        send(opened, STALLED)
        wait_for("its answer", lambda: answered(opened[0]), seconds=CLOSED_SECONDS)


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"], ids=["same host", "other host"])
def test_streams_that_stall(bench: Bench, source: str) -> None:
    """More than one connection may have, from many: each begins a message of 8 MiB."""

    def still_open() -> int:
        return sum(not answered(one) for one in opened)

    with (
        Watch(bench) as watch,
        connections(port(bench, "OTLP_GRPC_PORT"), 200, source) as opened,
        export(bench) as sender,
    ):
        began = time.monotonic()
        send(opened, STALLED)
        wait_for(
            "the stalled to have all the room that there is",
            still_open,
            until=lambda count: count == ROOM_FOR_CALLS,
            seconds=10,
        )
        # What came at once counts as coming for a moment, as above: a quick machine asks sooner.
        served(sender, before_they_end(began))
        for _ in range(10):
            started = watch.seconds()
            assert status(sender, small_batch(fresh_trace())) == "OK"
            assert watch.seconds() - started < SLOWEST_SECONDS
        # One made room for it. On a machine that took longer than they may, they have ended.
        left = still_open()
        if time.monotonic() < began + STALLED_SECONDS:
            assert left >= ROOM_FOR_CALLS - 1
    watch.check()


@pytest.mark.parametrize(
    "rest",
    [
        frame(DATA, 0, 1, bytes(16_000)) * (7 * 64),
        frame(DATA, 0, 1, b"x") * 60_000,
        frame(DATA, PADDED, 1, b"\xff" + b"x" + bytes(255)) * 30_000,
    ],
    ids=["7 MiB", "a byte a frame", "padding"],
)
def test_messages_that_stall_half_way(bench: Bench, rest: bytes) -> None:
    """What grpc-go keeps of them is 340, 400 and 600 MB."""
    with (
        Watch(bench) as watch,
        connections(port(bench, "OTLP_GRPC_PORT"), ROOM_FOR_CALLS) as opened,
        export(bench) as sender,
    ):
        began = time.monotonic()
        send(opened, PREFACE + call_begins(1) + frame(DATA, 0, 1, message_of(8 << 20)))
        wait_for(
            "leave to send the rest",
            lambda: sum(WINDOW_UPDATE in heard(one, 1) for one in opened),
            until=lambda count: count >= ROOM_FOR_CALLS - 1,
            seconds=10,
        )
        # Each at its own pace: one that has had to give way is not read any more.
        with ThreadPoolExecutor(len(opened)) as senders:
            list(senders.map(lambda one: send([one], rest), opened))
        # Of one that a busy machine reads in two pieces, the collector thinks that it stalls: it is
        # told to come again. Where nobody gave way, it would be for ten seconds.
        served(sender, before_they_end(began))
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
