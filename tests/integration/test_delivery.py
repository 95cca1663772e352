"""What was recorded arrives: under load, at a stop, and when the collector is late or away."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter

import pytest

from stack.waiting import wait_for
from tests.integration.harness.narrow_path import assert_narrow_path
from tests.integration.harness.stack import (
    BACKEND,
    COLLECTOR,
    PROFILES,
    WORKERS,
    Change,
    KilledError,
    Stack,
)
from tests.integration.harness.traffic import Exchange, has_names, send, send_many
from tests.integration.harness.witness import ARRIVAL_SECONDS, server_spans

LATE_SECONDS = 20
GRACE_SECONDS = 10
"""What Docker grants a container between SIGTERM and SIGKILL."""

STOPS = 3
"""The least disturbed of so many tells: a machine that is held up only ever adds."""


def arrived(stack: Stack, exchanges: list[Exchange], service: str) -> Counter[str]:
    """Server spans of `service` by trace, of those traces only."""
    wanted = {exchange.trace_id for exchange in exchanges}
    return Counter(
        span.trace_id for span in server_spans(stack.spans(), service) if span.trace_id in wanted
    )


def wait_for_each(
    stack: Stack, exchanges: list[Exchange], service: str, seconds: float = ARRIVAL_SECONDS
) -> None:
    """Until every request has a server span of `service`; more than one is an error at once."""

    def missing() -> int:
        counts = arrived(stack, exchanges, service)
        assert not [trace_id for trace_id, count in counts.items() if count > 1]
        return len(exchanges) - len(counts)

    wait_for(
        f"missing spans of {service}, of {len(exchanges)}, to be 0",
        missing,
        until=lambda count: count == 0,
        seconds=seconds,
        pause=0.3,
    )


def wait_for_records(stack: Stack, exchanges: list[Exchange], service: str) -> None:
    """Until every request has a log record of `service`: they come by another way than spans."""
    wanted = {exchange.trace_id for exchange in exchanges}

    def missing() -> set[str]:
        records = stack.logs()
        return wanted - {r.trace_id for r in records if r.resource["service.name"] == service}

    wait_for(
        f"a record of {service} for each of {len(wanted)} traces",
        missing,
        until=lambda left: not left,
        seconds=ARRIVAL_SECONDS,
        pause=0.3,
    )


def seconds_to_stop(stack: Stack, service: str) -> float:
    """Infinite where it had to be killed."""
    try:
        return stack.stop(service)
    except KilledError:
        return math.inf


def test_of_500_requests_to_several_workers_each_arrives_once(stack: Stack) -> None:
    # when
    exchanges = send_many(f"{stack.backend_url}/api/activities/home", 500)
    # then
    assert {exchange.response.status_code for exchange in exchanges} == {200}
    for service in (BACKEND, PROFILES):
        wait_for_each(stack, exchanges, service)
        traces = {exchange.trace_id for exchange in exchanges}
        workers = Counter(
            span.resource["service.instance.id"]
            for span in server_spans(stack.spans(), service)
            if span.trace_id in traces
        )
        assert len(workers) == WORKERS, workers


def test_a_stop_of_the_backend_delivers_what_it_still_holds(stack: Stack) -> None:
    # given a backend that would send spans once a minute
    slow = {"OTEL_BSP_SCHEDULE_DELAY": "60000", "OTEL_BLRP_SCHEDULE_DELAY": "60000"}
    stack.change(Change(environment={BACKEND: slow}))
    took: list[float] = []
    while min(took, default=math.inf) >= GRACE_SECONDS and len(took) < STOPS:
        if took:
            stack.start(BACKEND)
        exchanges = send_many(f"{stack.backend_url}/api/activities/home", 40)
        assert not arrived(stack, exchanges, BACKEND)
        # when
        took.append(seconds_to_stop(stack, BACKEND))
        # then
        if took[-1] < math.inf:
            wait_for_each(stack, exchanges, BACKEND)
            wait_for_records(stack, exchanges, BACKEND)
    assert min(took) < GRACE_SECONDS, took


def test_a_collector_that_starts_20_seconds_late_loses_nothing(stack: Stack) -> None:
    # given services that were started without a collector
    for service in (BACKEND, PROFILES, COLLECTOR):
        stack.stop(service)
    for service in (PROFILES, BACKEND):
        stack.start(service)
    exchanges = send_many(f"{stack.backend_url}/api/activities/home", 60)
    assert {exchange.response.status_code for exchange in exchanges} == {200}
    # when: time itself is the condition here
    time.sleep(LATE_SECONDS)
    stack.start(COLLECTOR)
    # then
    for service in (BACKEND, PROFILES):
        wait_for_each(stack, exchanges, service, seconds=60)
    wait_for_records(stack, exchanges, BACKEND)


@pytest.mark.parametrize("collector", ["away", "hung"])
def test_without_a_collector_the_app_serves_and_stops_in_time(stack: Stack, collector: str) -> None:
    # given
    if collector == "away":
        stack.stop(COLLECTOR)
    else:
        stack.pause(COLLECTOR)
    # when
    exchanges = [send(f"{stack.backend_url}/api/activities/home") for _ in range(20)]
    # then
    assert {exchange.response.status_code for exchange in exchanges} == {200}
    # A machine that is held up delays one or the other; what waits for a collector delays each.
    assert statistics.median(map(has_names, exchanges)) == 1
    took = [exchange.response.elapsed.total_seconds() for exchange in exchanges]
    assert statistics.median(took) < 2, took
    for service, url in (
        (BACKEND, f"{stack.backend_url}/api/activities/home"),
        (PROFILES, f"{stack.profiles_url}/api/profiles?handles=worf"),
    ):
        took = [seconds_to_stop(stack, service)]
        while min(took) >= GRACE_SECONDS and len(took) < STOPS:
            stack.start(service)
            assert {exchange.response.status_code for exchange in send_many(url, 20)} == {200}
            took.append(seconds_to_stop(stack, service))
        print(f"collector {collector}: {service} stopped within {min(took):.1f} s")
        assert min(took) < GRACE_SECONDS, took


@pytest.mark.parametrize("service", [COLLECTOR, PROFILES, BACKEND])
def test_after_a_kill_the_stack_works_again(stack: Stack, service: str) -> None:
    # given
    stack.kill(service)
    # when
    stack.start(service)
    # then
    assert_narrow_path(stack)
