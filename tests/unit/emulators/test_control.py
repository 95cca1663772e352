"""The control API, the guard against web pages, bounds, settings, and the process itself."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from emulators.aws.settings import Settings as AwsSettings
from emulators.client import Client, EmulatorError
from emulators.core.settings import Settings, SettingsError
from emulators.core.store import OVERHEAD, Item, Store
from emulators.honeycomb.settings import Settings as HoneycombSettings
from emulators.inprocess import running
from emulators.registry import load_settings
from emulators.xray.settings import Settings as XRaySettings
from tests.unit.emulators import otlp_data

VENDORS = ("honeycomb", "xray", "aws", "rollbar", "grafana-cloud", "otlp", "control")


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "localhost.evil.example:4580"}, 421),
        ({"Host": ""}, 421),
    ],
)
def test_web_pages_are_not_answered(
    emulators: Client, vendor: str, headers: dict[str, str], status: int
) -> None:
    answer = requests.get(f"{emulators.address(vendor)}/health", headers=headers, timeout=60)
    assert answer.status_code == status
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:99", "LOCALHOST", "[::1]:4580"])
def test_loopback_names_are_answered(emulators: Client, host: str) -> None:
    answer = requests.get(f"{emulators.url}/health", headers={"Host": host}, timeout=60)
    assert answer.json() == {"ready": True}


def test_a_preflight_is_not_allowed(emulators: Client) -> None:
    preflight = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    for vendor in VENDORS:
        url = f"{emulators.address(vendor)}/reset"
        answer = requests.options(url, headers=preflight, timeout=60)
        assert answer.status_code == 403


def test_a_page_cannot_break_a_vendor(emulators: Client) -> None:
    requests.post(
        f"{emulators.url}/faults/xray",
        data='{"mode": "hang"}',
        headers={"Origin": "http://127.0.0.1:3000", "Content-Type": "text/plain"},
        timeout=60,
    )
    assert emulators.faults()["xray"] is None


def post(client: Client, trace_id: str, count: int = 1) -> None:
    headers = {"x-honeycomb-team": "local-honeycomb-key", "Content-Type": "application/x-protobuf"}
    requests.post(
        f"{client.address('honeycomb')}/v1/traces",
        data=otlp_data.traces(trace_id, count),
        headers=headers,
        timeout=60,
    ).raise_for_status()


@pytest.fixture
def small() -> Iterator[Client]:
    """Emulators that hold ten items and remember three requests."""
    with running(replace(Settings(), max_items=10, max_requests=3, hosts="emulators")) as client:
        yield client


def test_the_oldest_leave_and_are_counted(small: Client) -> None:
    post(small, "0" * 31 + "1", count=8)
    post(small, "0" * 31 + "2", count=8)

    counts = small.counts()["honeycomb"]
    assert counts["accepted"] == {"traces": 16}
    assert counts["held"] == {"traces": 10}
    assert counts["evicted"] == {"traces": 6}
    assert len(small.holds("honeycomb", "0" * 31 + "1")["traces"]) == 2
    assert len(small.holds_all("0" * 31 + "2")["honeycomb"]["traces"]) == 8
    assert small.holds_all("0" * 31 + "2")["xray"] == {}


def test_reset_forgets_and_faults_stay(small: Client, trace_id: str) -> None:
    post(small, trace_id)
    small.break_("xray", "503")
    small.reset()
    assert small.holds("honeycomb", trace_id) == {}
    assert small.counts()["honeycomb"] == {"accepted": {}, "held": {}, "evicted": {}, "bytes": 0}
    assert small.requests("honeycomb") == []
    assert small.faults()["xray"] is not None


def test_reset_takes_one_vendor_alone(small: Client, trace_id: str) -> None:
    post(small, trace_id)
    small.reset("xray")
    assert len(small.holds("honeycomb", trace_id)["traces"]) == 1
    small.reset("honeycomb")
    assert small.holds("honeycomb", trace_id) == {}


def test_the_last_requests_are_remembered_without_query_strings(small: Client) -> None:
    url = small.address("rollbar")
    for number in range(5):
        requests.get(f"{url}/api/1/status/ping?access_token=secret{number}", timeout=60)
    seen = small.requests("rollbar")
    assert [one["path"] for one in seen] == ["/api/1/status/ping"] * 3
    assert "secret" not in json.dumps(seen)


def test_configured_names_are_answered(small: Client) -> None:
    answer = requests.get(f"{small.url}/health", headers={"Host": "emulators:4580"}, timeout=60)
    assert answer.ok


def test_bytes_bound_the_store_too() -> None:
    store = Store(max_items=1000, max_bytes=3 * (OVERHEAD + 100))
    for number in range(5):
        store.add([Item("logs", str(number), 100, dict, ("a",))])
    assert store.ids("logs") == {"2": 1, "3": 1, "4": 1}
    assert store.bytes == 3 * (OVERHEAD + 100)
    assert len(store.of_trace("a", "logs")) == 3


def test_an_item_that_alone_is_too_big_does_not_stay() -> None:
    store = Store(max_items=10, max_bytes=1000)
    store.add([Item("logs", "x", 2000, dict, ("a",))])
    assert store.held() == {}
    assert store.trace_ids() == []
    assert store.evicted == {"logs": 1}


@pytest.mark.parametrize("text", ["xyz", "0" * 31, "1-1234-5678"])
def test_a_wrong_trace_id_is_refused(emulators: Client, text: str) -> None:
    with pytest.raises(EmulatorError, match="32 hex digits"):
        emulators.holds("xray", text)


def test_settings_come_from_the_environment() -> None:
    settings = load_settings(
        {
            "EMULATOR_XRAY_PORT": "1",
            "EMULATOR_HONEYCOMB_KEY": "k",
            "EMULATOR_AWS_PORT": "",
            "PATH": "x",
        }
    )
    assert settings.of(XRaySettings).port == 1
    assert settings.of(HoneycombSettings).key == "k"
    assert settings.of(AwsSettings).port == 4583


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({"EMULATOR_XRAY_PRT": "1"}, "EMULATOR_XRAY_PRT is no emulator setting"),
        ({"EMULATOR_XRAY_PORT": "x"}, "EMULATOR_XRAY_PORT='x' is not a whole number"),
        ({"EMULATOR_XRAY_PORT": "65536"}, "out of range"),
        ({"EMULATOR_OTLP_TLS_CERT": "x"}, "go together"),
        ({"EMULATOR_OTLP_TLS_CLIENT_CA": "x"}, "needs EMULATOR_OTLP_TLS_CERT"),
    ],
)
def test_wrong_settings_are_named(env: dict[str, str], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        load_settings(env)


def test_nobody_there_is_one_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        client = Client(f"http://127.0.0.1:{port}")
        assert not client.healthy()
        with pytest.raises(EmulatorError, match=f"127.0.0.1:{port} do not answer"):
            client.counts()


SECONDS = 60
"""For what a process does in one or two on a machine that is not busy."""

ANY_PORTS = {
    f"EMULATOR_{name}_PORT": "0"
    for name in (
        "CONTROL",
        "HONEYCOMB",
        "XRAY",
        "AWS",
        "ROLLBAR",
        "GRAFANA_CLOUD",
        "OTLP",
        "OTLP_GRPC",
    )
}


def run(**env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "emulators"],
        env={**os.environ, **ANY_PORTS, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_process_says_its_ports_and_ends_when_told(tmp_path: Path) -> None:
    # given one that will not get to the end of loading moto, as on a busy machine
    (tmp_path / "moto.py").write_text("import time\n\ntime.sleep(3600)\n")
    process = run(PYTHONPATH=str(tmp_path))
    assert process.stdout is not None
    try:
        ports = json.loads(process.stdout.readline())
        client = Client(f"http://127.0.0.1:{ports['control']}")
        assert client.ports() == ports
        assert set(ports) == {*VENDORS, "otlp_grpc"}
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0
    assert errors == ""


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = run(EMULATOR_XRAY_PORT=str(port))
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert errors.splitlines() == [
        (
            f"error: cannot listen on 127.0.0.1:{port}: Address already in use. "
            "Set EMULATOR_<NAME>_PORT or EMULATOR_BIND."
        )
    ]


def test_a_taken_grpc_port_is_one_clear_line(emulators: Client) -> None:
    # Unlike other servers gRPC would share the port, and take every other request.
    port = emulators.ports()["otlp_grpc"]
    process = run(EMULATOR_OTLP_GRPC_PORT=str(port))
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in errors


def test_all_that_a_vendor_holds_can_be_read_line_by_line(small: Client, trace_id: str) -> None:
    post(small, trace_id, count=3)

    lines = [json.loads(line) for line in small.items("honeycomb").splitlines()]

    assert [line["signal"] for line in lines] == ["traces"] * 3
    assert {line["item"]["event"]["trace.trace_id"] for line in lines} == {trace_id}
    assert {line["id"] for line in lines} == set(small.ids("honeycomb"))
