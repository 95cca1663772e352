"""What telemetry keeps of a client's address, through the real instrumentation and collector."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.collector_build import ensure_collector_binary
from stack.settings import ROOT
from stack.telemetry import read_logs, read_spans
from stack.waiting import wait_for
from tests.integration.harness.backend import running_backend
from tests.integration.harness.stack import BACKEND
from tests.integration.harness.traffic import send
from tests.integration.harness.witness import ARRIVAL_SECONDS, server_spans
from tests.unit.collector import running as collector

pytestmark = [pytest.mark.collector, pytest.mark.only_native]

CLIENT, NETWORK = "203.0.113.77", "203.0.113.0"


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"TRUSTED_PROXIES": "1"}, CLIENT),
        ({"TRUSTED_PROXIES": "1", "CLIENT_ADDRESS": "network"}, NETWORK),
        ({"TRUSTED_PROXIES": "1", "CLIENT_ADDRESS": "none"}, None),
        ({}, "127.0.0.1"),
    ],
)
def test_spans_and_logs_keep_as_much_of_the_address_as_was_asked_for(
    tmp_path: Path, settings: dict[str, str], kept: str | None
) -> None:
    traces, logs = tmp_path / "traces.jsonl", tmp_path / "logs.jsonl"
    with (
        collector.running(ensure_collector_binary(ROOT), tmp_path) as started,
        running_backend(tmp_path, started.otlp, settings) as backend,
    ):
        # when a request comes through one proxy, and is refused
        forwarded = {"X-Forwarded-For": f"198.51.100.1, {CLIENT}"}
        exchange = send(f"{backend.url}/nothing", headers=forwarded)
        # then its span and its record have what was asked for
        [span] = wait_for(
            "its span",
            lambda: server_spans(read_spans(traces, exchange.trace_id), BACKEND),
            seconds=ARRIVAL_SECONDS,
        )
        [record] = wait_for(
            "its record",
            lambda: [one for one in read_logs(logs, exchange.trace_id) if one.scope == "access"],
            seconds=ARRIVAL_SECONDS,
        )
        console = backend.console.read_text()
    assert span.attributes.get("client.address") == kept
    assert record.attributes.get("client.address") == kept
    assert record.attributes.get("security_client") == kept
    # and nothing else tells more
    if kept != CLIENT:
        assert CLIENT not in traces.read_text() + logs.read_text() + console
