"""Failing for real: at the socket, for as long as told, and well again afterwards."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import parsedate_to_datetime

import boto3
import pytest
import requests
from botocore.exceptions import ClientError

from emulators.client import Client, EmulatorError
from stack.waiting import wait_for
from tests.unit.emulators import otlp_data

HEADERS = {"x-honeycomb-team": "local-honeycomb-key", "Content-Type": "application/x-protobuf"}
SECONDS = 60
"""For what takes milliseconds on a machine that is not busy."""


def post(
    emulators: Client, trace_id: str, *, timeout: float = SECONDS, count: int = 1
) -> requests.Response:
    return requests.post(
        f"{emulators.address('honeycomb')}/v1/traces",
        data=otlp_data.traces(trace_id, count),
        headers=HEADERS,
        timeout=timeout,
    )


def held(emulators: Client, trace_id: str) -> int:
    return len(emulators.holds("honeycomb", trace_id).get("traces", []))


@contextmanager
def hung(emulators: Client, trace_id: str) -> Iterator[Future[requests.Response]]:
    """A request that Honeycomb has taken, and hangs on."""
    emulators.reset("honeycomb")
    emulators.break_("honeycomb", "hang")
    with ThreadPoolExecutor(1) as pool:
        try:
            asked = pool.submit(post, emulators, trace_id)
            wait_for("the request", lambda: emulators.requests("honeycomb"), seconds=SECONDS)
            yield asked
        finally:
            emulators.heal("honeycomb")


def test_hanging_takes_the_request_and_never_answers(emulators: Client, trace_id: str) -> None:
    with hung(emulators, trace_id) as asked:
        with pytest.raises(TimeoutError):
            asked.result(timeout=0.3)
        [taken] = emulators.requests("honeycomb")
        assert (taken["status"], taken["fault"]) == (0, "hang")
        assert taken["bytes"] > 0
        assert held(emulators, trace_id) == 0


def test_healing_ends_a_hung_request_without_keeping_it(emulators: Client, trace_id: str) -> None:
    with hung(emulators, trace_id) as asked:
        emulators.heal("honeycomb")
        assert isinstance(asked.exception(timeout=SECONDS), requests.ConnectionError)
    assert held(emulators, trace_id) == 0
    assert post(emulators, trace_id).ok


def test_many_hung_requests_do_not_starve_the_others(emulators: Client) -> None:
    emulators.break_("honeycomb", "hang")
    port = emulators.ports()["honeycomb"]
    head = b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
    hung = [socket.create_connection(("127.0.0.1", port), timeout=SECONDS) for _ in range(300)]
    try:
        for connection in hung:
            connection.sendall(head)
        wait_for(
            "all of them",
            lambda: (emulators.faults()["honeycomb"] or {}).get("hits"),
            until=lambda hits: hits == len(hung),
            seconds=SECONDS,
        )
        answer = requests.get(f"{emulators.address('rollbar')}/api/1/status/ping", timeout=SECONDS)
        assert answer.text == "pong"
    finally:
        for connection in hung:
            connection.close()


def test_refusing_closes_the_port_and_open_connections(emulators: Client, trace_id: str) -> None:
    address = ("127.0.0.1", emulators.ports()["honeycomb"])
    with socket.create_connection(address, timeout=SECONDS) as idle:
        emulators.break_("honeycomb", "refuse")
        with pytest.raises(ConnectionResetError):
            idle.recv(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=SECONDS)
    with pytest.raises(OSError, match="in use"), socket.socket() as thief:
        thief.bind(address)
    emulators.heal("honeycomb")
    assert post(emulators, trace_id).ok
    assert emulators.ports()["honeycomb"] == address[1]


def test_resetting_cuts_the_body_short(emulators: Client, trace_id: str) -> None:
    emulators.break_("honeycomb", "reset")
    with socket.create_connection(
        ("127.0.0.1", emulators.ports()["honeycomb"]), timeout=SECONDS
    ) as connection:
        head = "POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 100)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert held(emulators, trace_id) == 0


def test_slow_answers_late_and_keeps_what_came(emulators: Client, trace_id: str) -> None:
    emulators.break_("honeycomb", "slow", seconds=0.4)
    started = time.monotonic()
    assert post(emulators, trace_id).ok
    assert time.monotonic() - started >= 0.4
    assert held(emulators, trace_id) == 1


@pytest.mark.parametrize("status", ["400", "401", "403", "429", "500", "503"])
def test_statuses_keep_nothing(emulators: Client, trace_id: str, status: str) -> None:
    emulators.break_("honeycomb", status, retry_after=4)  # type: ignore[arg-type]
    answer = post(emulators, trace_id)
    assert answer.status_code == int(status)
    assert answer.headers.get("Retry-After") == ("4" if status in ("429", "503") else None)
    assert held(emulators, trace_id) == 0


def test_a_fault_ends_after_its_count(emulators: Client, trace_id: str) -> None:
    emulators.break_("honeycomb", "503", count=2)
    assert [post(emulators, trace_id).status_code for _ in range(3)] == [503, 503, 200]
    assert emulators.faults()["honeycomb"] is None


@pytest.mark.parametrize("mode", ["503", "refuse"])
def test_a_fault_ends_after_its_duration(emulators: Client, trace_id: str, mode: str) -> None:
    emulators.break_("honeycomb", mode, duration=0.3)  # type: ignore[arg-type]
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            if post(emulators, trace_id).ok:
                break
        except requests.ConnectionError:
            assert mode == "refuse"
        assert time.monotonic() < deadline
    assert emulators.faults()["honeycomb"] is None


def test_a_vendor_fails_alone(emulators: Client, trace_id: str) -> None:
    for vendor in ("xray", "aws", "rollbar", "otlp"):
        emulators.break_(vendor, "refuse")
    assert post(emulators, trace_id).ok
    assert held(emulators, trace_id) == 1


@pytest.mark.parametrize(
    ("vendor", "fault", "why"),
    [
        ("honeycomb", {"mode": "unprocessed"}, "honeycomb cannot unprocessed; it can: 400"),
        ("xray", {"mode": "partial"}, "xray cannot partial"),
        ("xray", {"mode": "explode"}, "mode"),
        ("xray", {"mode": "refuse", "count": 1}, "takes duration, not count"),
        ("xray", {"mode": "slow", "seconds": -1}, "seconds"),
        ("nobody", {"mode": "hang"}, "no vendor 'nobody'"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(
    emulators: Client, vendor: str, fault: dict[str, object], why: str
) -> None:
    with pytest.raises(EmulatorError, match=why):
        emulators.break_(vendor, **fault)  # type: ignore[arg-type]
    assert all(one is None for one in emulators.faults().values())


def test_a_clock_that_is_ahead_refuses_signatures_until_they_are_corrected(
    emulators: Client,
) -> None:
    emulators.break_("xray", "clock")
    xray = boto3.client(
        "xray",
        region_name="us-east-1",
        endpoint_url=emulators.address("xray"),
        aws_access_key_id="LOCALEMULATEDAWSKEYID",
        aws_secret_access_key="local-emulator-secret",
    )
    with pytest.raises(ClientError, match="Signature expired") as refused:
        xray.get_groups()
    said = parsedate_to_datetime(refused.value.response["ResponseMetadata"]["HTTPHeaders"]["date"])
    assert 3500 < said.timestamp() - time.time() < 3700
    emulators.heal("xray")
    assert xray.get_groups()["ResponseMetadata"]["HTTPStatusCode"] == 200
