"""Metrics count what was asked, log records belong to their span."""

from __future__ import annotations

from collections import Counter

import pytest

from stack.telemetry import Point
from stack.waiting import wait_for
from tests.integration.harness.stack import BACKEND, PROFILES, WORKERS, Stack
from tests.integration.harness.traffic import send, send_many
from tests.integration.harness.witness import (
    ARRIVAL_SECONDS,
    latest,
    wait_for_logs,
    wait_for_server_span,
)

DURATION = "http.server.request.duration"


def points_of(stack: Stack, route: str, status: int = 200) -> list[Point]:
    wanted = {"http.route": route, "http.response.status_code": status}.items()
    return [
        point
        for point in latest(stack.points())
        if point.metric == DURATION and point.attributes.items() >= wanted
    ]


def by_worker(points: list[Point]) -> Counter[str]:
    """Requests by the worker that served them."""
    counts: Counter[str] = Counter()
    for point in points:
        counts[str(point.resource["service.instance.id"])] += int(point.value)
    return counts


def test_the_duration_metric_counts_every_request_of_every_worker(stack: Stack) -> None:
    # given what workers that were there before have counted
    route = "/api/activities/@<handle>"
    before = by_worker(points_of(stack, route))
    # when each worker has served some: which of them takes a request is the kernel's choice
    sent = 0
    workers: Counter[str] = Counter()
    while len(workers) < WORKERS and sent < 400:
        exchanges = send_many(f"{stack.backend_url}/api/activities/@londo", 40)
        assert all(exchange.response.ok for exchange in exchanges)
        sent += len(exchanges)
        # then
        points = wait_for(
            f"{DURATION} of {route} to count {sent} requests",
            lambda: points_of(stack, route),
            until=lambda found, sent=sent: (by_worker(found) - before).total() == sent,  # type: ignore[misc]
            seconds=ARRIVAL_SECONDS,
        )
        assert {point.unit for point in points} == {"s"}
        workers = by_worker(points) - before
    assert len(workers) == WORKERS


def test_each_status_has_a_count_of_its_own(stack: Stack) -> None:
    # when
    send(f"{stack.backend_url}/api/debug/error")
    # then
    [*points] = wait_for(
        f"{DURATION} of the failed request",
        lambda: points_of(stack, "/api/debug/error", 500),
        seconds=ARRIVAL_SECONDS,
    )
    assert all(point.attributes["error.type"] == "500" for point in points)
    assert points_of(stack, "/api/debug/error", 200) == []


def test_metrics_carry_no_address_of_a_client(stack: Stack) -> None:
    # when
    send(f"{stack.backend_url}/api/activities/home?token=x")
    points = wait_for(
        f"{DURATION} of the home feed",
        lambda: points_of(stack, "/api/activities/home"),
        seconds=ARRIVAL_SECONDS,
    )
    # then: each of these would make a time series a client
    unbounded = {"client.address", "client.port", "user_agent.original", "url.query", "url.path"}
    assert all(unbounded.isdisjoint(point.attributes) for point in points)


def test_the_access_log_belongs_to_the_server_span(stack: Stack) -> None:
    # when
    exchange = send(f"{stack.backend_url}/api/activities/home?token=x")
    # then
    span = wait_for_server_span(stack, exchange, BACKEND)
    [record] = wait_for_logs(stack, exchange, "access", BACKEND)
    assert (record.trace_id, record.span_id) == (exchange.trace_id, span.span_id)
    assert record.severity == "INFO"
    assert record.body == "GET /api/activities/home 200"
    assert (
        record.attributes.items()
        >= {
            "http.request.method": "GET",
            "http.response.status_code": 200,
            "http.route": "/api/activities/home",
            "url.path": "/api/activities/home",
            "url.scheme": "http",
        }.items()
    )
    assert record.attributes["client.address"]
    assert record.resource["service.name"] == BACKEND


def test_the_other_services_log_is_in_the_same_trace(stack: Stack) -> None:
    # when
    exchange = send(f"{stack.backend_url}/api/activities/home")
    # then
    span = wait_for_server_span(stack, exchange, PROFILES)
    [record] = wait_for_logs(stack, exchange, "access", PROFILES)
    assert record.span_id == span.span_id


def test_an_exceptions_record_carries_it_and_belongs_to_the_span(stack: Stack) -> None:
    # when
    exchange = send(f"{stack.backend_url}/api/debug/error")
    # then
    span = wait_for_server_span(stack, exchange, BACKEND)
    [record] = wait_for_logs(stack, exchange, "cruddur", BACKEND)
    assert record.span_id == span.span_id
    assert record.severity == "ERROR"
    assert "ProvokedError" in record.attributes["exception.type"]
    assert "Traceback" in record.attributes["exception.stacktrace"]


@pytest.mark.parametrize("service", [BACKEND, PROFILES])
def test_the_console_shows_the_same_ids_as_json(stack: Stack, service: str) -> None:
    # when
    exchange = send(f"{stack.backend_url}/api/activities/home")
    # then
    lines = wait_for(
        f"the access log's line on the console of {service}",
        lambda: [line for line in stack.console(service).splitlines() if exchange.trace_id in line],
        seconds=ARRIVAL_SECONDS,
    )
    span = wait_for_server_span(stack, exchange, service)
    assert any(f'"span_id": "{span.span_id}"' in line for line in lines)
