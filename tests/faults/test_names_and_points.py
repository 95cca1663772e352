"""Names that AWS forbids, and points that CloudWatch makes no metric of, through the collector."""

from __future__ import annotations

import math
import secrets
import time
from typing import Any

import pytest
import requests

from stack.waiting import wait_for
from tests.faults.harness.bench import Bench

pytestmark = [pytest.mark.collector, pytest.mark.only_native]

ARRIVES_SECONDS = 60
"""For a machine that others keep busy."""

SERVICES: tuple[tuple[str, Any, str], ...] = (
    ("colon", {"stringValue": "unknown_service:java"}, "unknown_service_java"),
    ("star", {"stringValue": "job-*"}, "job-_"),
    ("empty", {"stringValue": ""}, "unknown_service"),
    ("number", {"intValue": "42"}, "42"),
    ("absent", None, "unknown_service"),
    ("list", {"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}}, "__a___b__"),
)


def post(bench: Bench, signal: str, body: dict[str, Any]) -> None:
    answer = requests.post(f"{bench.otlp_url}/v1/{signal}", json=body, timeout=30)
    assert answer.status_code == 200, answer.text


def resource(service: Any) -> dict[str, Any]:
    named = [] if service is None else [{"key": "service.name", "value": service}]
    return {"attributes": named}


def post_metrics(bench: Bench, service: Any, metrics: list[dict[str, Any]]) -> None:
    scope = {"scope": {"name": "s"}, "metrics": metrics}
    body = {"resourceMetrics": [{"resource": resource(service), "scopeMetrics": [scope]}]}
    post(bench, "metrics", body)


def counter(name: str, value: int) -> dict[str, Any]:
    point = {"timeUnixNano": str(time.time_ns()), "asInt": str(value)}
    total = {"isMonotonic": True, "aggregationTemporality": 1, "dataPoints": [point]}
    return {"name": name, "unit": "{request}", "sum": total}


def gauge(name: str, value: float | str) -> dict[str, Any]:
    point = {"timeUnixNano": str(time.time_ns()), "asDouble": value}
    return {"name": name, "gauge": {"dataPoints": [point]}}


def to_infinity(name: str) -> dict[str, Any]:
    """A delta exponential histogram whose last bucket ends at infinity."""
    point = {
        "timeUnixNano": str(time.time_ns()),
        "count": "3",
        "sum": 5.1e307,
        "scale": 0,
        "positive": {"offset": 1023, "bucketCounts": ["3"]},
    }
    histogram = {"aggregationTemporality": 1, "dataPoints": [point]}
    return {"name": name, "exponentialHistogram": histogram}


def histogram(name: str, count: int) -> dict[str, Any]:
    """Cumulative, without a start time, as Prometheus' clients make them."""
    point = {
        "timeUnixNano": str(time.time_ns()),
        "count": str(count),
        "sum": float(count),
        "bucketCounts": [str(count), "0"],
        "explicitBounds": [10.0],
    }
    return {"name": name, "histogram": {"aggregationTemporality": 2, "dataPoints": [point]}}


def held(bench: Bench, name: str, service: str) -> float:
    """What a chart of the metric's sum adds up at CloudWatch, of a histogram its count."""
    return sum(
        one["statistics"]["count"]
        if "statistics" in one
        else sum(value * often for value, often in one["values"])
        for one in bench.client.metrics(name=name)
        if one["dimensions"] == {"service.name": service}
    )


def arrived(bench: Bench, vendor: str, signal: str, trace: str) -> list[dict[str, Any]]:
    return wait_for(
        f"{signal} at {vendor}",
        lambda: bench.client.holds(vendor, trace).get(signal) or [],
        seconds=ARRIVES_SECONDS,
    )


def invalid(bench: Bench) -> list[str]:
    """Requests that AWS refuses for what is in them; a log group that is not there yet is made."""
    whys = [one.get("why") or "" for one in bench.client.requests("aws")]
    return [why for why in whys if why and "ResourceNotFoundException" not in why]


@pytest.mark.parametrize(
    ("label", "service", "name"), SERVICES, ids=[label for label, *_ in SERVICES]
)
def test_every_service_has_one_name_at_aws(
    bench: Bench, label: str, service: Any, name: str
) -> None:
    # given
    bench.heal()
    before = {signal: bench.ledger()[signal].failed for signal in AWS}
    refusals = invalid(bench)
    now = time.time_ns()
    trace = f"{now // 10**9:08x}{secrets.token_hex(12)}"
    metric = f"names.{label}.{trace}"
    ids = {"traceId": trace, "spanId": secrets.token_hex(8)}
    span = {
        **ids,
        "name": "GET /",
        "kind": 2,
        "startTimeUnixNano": str(now - 10**6),
        "endTimeUnixNano": str(now),
    }
    record = {**ids, "timeUnixNano": str(now), "body": {"stringValue": "hello"}}
    # when
    scoped = {"resource": resource(service)}
    post(bench, "traces", {"resourceSpans": [{**scoped, "scopeSpans": [{"spans": [span]}]}]})
    post(bench, "logs", {"resourceLogs": [{**scoped, "scopeLogs": [{"logRecords": [record]}]}]})
    post_metrics(bench, service, [counter(metric, 6)])
    # then
    wait_for(
        f"the metric of {name}", lambda: held(bench, metric, name) == 6, seconds=ARRIVES_SECONDS
    )
    units = {one["unit"] for one in bench.client.metrics(name=metric)}
    assert units == {"Count"}

    for vendor, signal in (("xray", "traces"), ("aws", "logs")):
        found = arrived(bench, vendor, signal, trace)
        assert name in str(found), found
    assert {signal: bench.ledger()[signal].failed for signal in AWS} == before
    assert invalid(bench) == refusals


AWS = (("xray", "traces"), ("cloudwatch", "metrics"), ("cloudwatch", "logs"))


def test_what_cloudwatch_makes_no_metric_of_costs_nobody_else(bench: Bench) -> None:
    # given
    bench.heal()
    before = bench.ledger()["cloudwatch", "metrics"].failed
    letters = {letter.path for letter in bench.letters()}
    tag, service = secrets.token_hex(4), {"stringValue": "points"}
    counters = [f"points.{tag}.{number}" for number in range(40)]
    unfit = [gauge(f"points.{tag}.{value}", value) for value in ("NaN", "Infinity", "-Infinity")]
    # when
    post_metrics(
        bench,
        service,
        [
            *(counter(name, 1) for name in counters),
            to_infinity(f"points.{tag}.bucket"),
            *unfit,
            gauge(f"points.{tag}.good", 1.5),
        ],
    )
    # then
    wait_for(
        "four data points to be refused",
        lambda: bench.ledger()["cloudwatch", "metrics"].failed == before + 4,
        seconds=ARRIVES_SECONDS,
    )
    wait_for(
        "the others",
        lambda: sum(held(bench, name, "points") for name in counters) >= len(counters),
        seconds=ARRIVES_SECONDS,
    )
    assert [held(bench, name, "points") for name in counters] == [1.0] * len(counters)
    assert math.isclose(held(bench, f"points.{tag}.good", "points"), 1.5)
    kept = [one for one in bench.letters() if one.path not in letters]
    assert sum(one.header.refused for one in kept) == 4
    assert {one.header.reason: one.header.refused for one in kept} == {
        "NaN or infinite, which CloudWatch takes no metric of": 3,
        "beyond 2^360, which CloudWatch takes no metric of": 1,
    }


def test_a_histogram_counts_on_after_its_sender_began_anew(bench: Bench) -> None:
    # given
    bench.heal()
    name, service = f"anew.{secrets.token_hex(4)}", {"stringValue": "anew"}
    # when a sender without start times counts to 110, and then from nothing to 9
    for count in (100, 110, 3, 5, 9):
        post_metrics(bench, service, [histogram(name, count)])
    # then
    wait_for(
        "what it counted anew", lambda: held(bench, name, "anew") >= 19, seconds=ARRIVES_SECONDS
    )
    assert held(bench, name, "anew") == 10 + 9
