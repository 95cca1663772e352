"""What services lost, and log records whose traces nobody recorded."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from stack.doctor.services import check_services
from stack.doctor.setup import Setup
from tests.unit.doctor.playing import only, text

SAMPLED, UNSAMPLED, LATE = "a" * 32, "b" * 32, "c" * 32


def ago(seconds: float) -> str:
    return str(int((time.time() - seconds) * 1e9))


def resource(service: str) -> dict[str, Any]:
    return {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}


def record(setup: Setup, signal: str, content: dict[str, Any]) -> None:
    folder = setup.plan.telemetry_dir
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{signal}.jsonl").open("a") as file:
        file.write(json.dumps(content) + "\n")


def span(setup: Setup, trace_id: str, seconds_ago: float) -> None:
    spans = [{"traceId": trace_id, "endTimeUnixNano": ago(seconds_ago)}]
    scopes = [{"scope": {}, "spans": spans}]
    record(setup, "traces", {"resourceSpans": [{"resource": {}, "scopeSpans": scopes}]})


def log(
    setup: Setup, trace_id: str, seconds_ago: float = 60, flags: int = 0, service: str = "shop"
) -> None:
    records = [{"traceId": trace_id, "timeUnixNano": ago(seconds_ago), "flags": flags}]
    logs = {"resource": resource(service), "scopeLogs": [{"scope": {}, "logRecords": records}]}
    record(setup, "logs", {"resourceLogs": [logs]})


def test_no_record_is_well(make: Callable[..., Setup]) -> None:
    assert only(check_services(make())).verdict == "ok"


def test_every_log_record_with_its_trace_is_well(make: Callable[..., Setup]) -> None:
    setup = make()
    span(setup, SAMPLED, 100)
    log(setup, SAMPLED, flags=1)
    # A page's records have no flags.
    log(setup, SAMPLED)
    log(setup, "")
    # Its spans were in a file that is full since; and its request is not over yet.
    log(setup, LATE, seconds_ago=7200)
    log(setup, LATE, seconds_ago=1)

    assert only(check_services(setup)).verdict == "ok"


@pytest.mark.parametrize(("trust", "todo"), [("on", "TRUST_CALLERS"), ("off", "always_on")])
def test_log_records_of_traces_that_nobody_recorded_are_told(
    make: Callable[..., Setup], trust: str, todo: str
) -> None:
    setup = make(trust_callers=trust)
    span(setup, SAMPLED, 100)
    log(setup, SAMPLED, flags=1)
    log(setup, UNSAMPLED)
    log(setup, UNSAMPLED)
    log(setup, UNSAMPLED, service="\x1b[2Jevil")

    first, second = check_services(setup)

    assert (first.verdict, second.verdict) == ("warning", "warning")
    assert "2 of the latest 3 log records of shop are of traces that nobody recorded" in second.what
    assert "-00" in second.what
    assert todo in second.todo


def test_what_xrays_rules_leave_out_is_no_fault(make: Callable[..., Setup]) -> None:
    setup = make(traces_sampler="xray_remote")
    span(setup, SAMPLED, 100)
    log(setup, UNSAMPLED)

    finding = only(check_services(setup))

    assert finding.verdict == "ok"
    assert "X-Ray's sampling rules" in finding.what


def test_what_a_service_lost_is_told_with_its_time(make: Callable[..., Setup]) -> None:
    setup = make()
    labels = [
        {"key": "signal", "value": {"stringValue": "logs"}},
        {"key": "reason", "value": {"stringValue": "unencodable"}},
    ]
    point = {"asInt": "3", "timeUnixNano": ago(300), "attributes": labels}
    metric = {"name": "telemetry.lost", "sum": {"dataPoints": [point]}}
    scopes = [{"scope": {}, "metrics": [metric]}]
    content = {"resourceMetrics": [{"resource": resource("shop"), "scopeMetrics": scopes}]}
    record(setup, "metrics", content)

    finding = only(check_services(setup))

    assert finding.verdict == "warning"
    assert "shop lost 3 log records: protobuf could not encode them" in text([finding])
    assert "5 min ago" in finding.what
