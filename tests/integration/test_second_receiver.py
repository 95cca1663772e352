"""An operator whose apps use the X-Ray SDK: what came in by the second receiver can be read."""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from stack.waiting import wait_for
from tests.integration.harness.checkout import Checkout, running_checkout
from tests.ports import free_ports

pytestmark = pytest.mark.only_native
SECONDS = 60


@pytest.fixture
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Checkout, int]]:
    """A stack that is up with the X-Ray daemon's part, and the port of its segments."""
    [port] = free_ports(1)
    with running_checkout(
        tmp_path_factory.mktemp("segments"),
        "native",
        WITH="xray-daemon",
        XRAY_DAEMON_UDP_PORT=str(port),
    ) as up:
        yield up, port


def test_status_has_a_row_for_each_receiver(checkout: tuple[Checkout, int]) -> None:
    up, port = checkout
    now = time.time()
    segment: dict[str, Any] = {
        "name": "shop",
        "id": secrets.token_hex(8),
        "trace_id": f"1-{int(now):08x}-{secrets.token_hex(12)}",
        "start_time": now - 0.2,
        "end_time": now,
    }
    running = {**segment, "id": secrets.token_hex(8), "in_progress": True}
    del running["end_time"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for document in (json.dumps(segment), json.dumps(running), "{not json", "{}"):
            packet = '{"format": "json", "version": 1}\n' + document
            udp.sendto(packet.encode(), ("127.0.0.1", port))

    def segments() -> dict[str, Any]:
        [found] = [one for one in up.status()["receivers"] if one["receiver"] == "awsxray"]
        return dict(found)

    found = wait_for(
        "four segments in status",
        segments,
        until=lambda one: one["accepted"] + one["refused"] + one["in_progress"] == 4,
        seconds=SECONDS,
    )
    assert (found["accepted"], found["refused"], found["in_progress"]) == (1, 2, 1)
    said = up.run("status")
    rows = [line.split() for line in said.output.splitlines() if "awsxray" in line]
    assert [word for word in rows[0] if word.isalnum()] == ["awsxray", "traces", "1", "2", "1"]
    assert said.code == 0, said.output


def test_status_and_doctor_tell_what_each_receiver_refused(
    checkout: tuple[Checkout, int],
) -> None:
    # given: the slip that is made most often, and half a segment
    up, port = checkout
    twice = f"http://127.0.0.1:{up.ports['OTLP_HTTP_PORT']}/v1/traces/v1/traces"
    refused = requests.post(twice, json={}, headers={"User-Agent": "shop/1.0"}, timeout=10)
    assert refused.status_code == 404
    assert "the endpoint already has /v1/" in refused.json()["message"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b'{"format": "json", "version": 1}\n{half', ("127.0.0.1", port))
    # when
    told = wait_for(
        "a line for each receiver",
        lambda: up.run("status").output,
        until=lambda said: "awsxray: " in said and "otlp: " in said,
        seconds=SECONDS,
    )
    # then
    assert "1 request over http to /v1/traces/v1/traces refused (path)" in told
    assert "from shop/1.0" in told
    assert "refused (malformed)" in told
    doctor = " ".join(up.run("doctor").output.split())
    assert "→ the endpoint already has /v1/" in doctor
