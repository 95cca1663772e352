"""When profiles-flask does not answer, the feed is served without names and the trace says why."""

from __future__ import annotations

from stack.telemetry import Span
from stack.waiting import wait_for
from tests.integration.harness.narrow_path import assert_narrow_path
from tests.integration.harness.stack import BACKEND, PROFILES, Stack
from tests.integration.harness.traffic import send
from tests.integration.harness.witness import ARRIVAL_SECONDS, wait_for_logs

PATIENCE_SECONDS = 2
"""A reader of the feed waits this long at most, whatever profiles-flask does."""


def feed_without_names(stack: Stack, reason: str) -> None:
    """Ask for the feed; hold answer, spans and log against `reason`."""
    # when
    exchanges = [send(f"{stack.backend_url}/api/activities/home") for _ in range(3)]
    # then the feed is there; by the least disturbed, since other programs only ever add
    assert {exchange.response.status_code for exchange in exchanges} == {200}
    took = [exchange.response.elapsed.total_seconds() for exchange in exchanges]
    assert min(took) < PATIENCE_SECONDS, took
    exchange = exchanges[-1]
    feed = exchange.response.json()
    assert len(feed) >= 5
    assert all(activity["display_name"] is None for activity in feed)
    # then the span around the call says why, and the call itself is an error
    spans = wait_for(
        f"the spans of trace {exchange.trace_id}",
        lambda: {(span.name, span.kind): span for span in stack.spans(exchange.trace_id)},
        until=lambda found: (
            ("GET", "CLIENT") in found and ("home-activities-mock-data", "INTERNAL") in found
        ),
        seconds=ARRIVAL_SECONDS,
    )
    custom: Span = spans["home-activities-mock-data", "INTERNAL"]
    assert custom.attributes["app.profiles.unavailable"] == reason
    assert [e.attributes["reason"] for e in custom.events if e.name == "profiles unavailable"] == [
        reason
    ]
    assert custom.status == "UNSET"
    assert spans["GET", "CLIENT"].status == "ERROR"
    # then the log says it too
    [record] = wait_for_logs(stack, exchange, "cruddur.profiles_client", BACKEND)
    assert record.severity.startswith("WARN")
    assert reason in record.body


def test_profiles_down(stack: Stack) -> None:
    # given
    stack.stop(PROFILES)
    # then
    feed_without_names(stack, "unreachable")


def test_profiles_slow(stack: Stack) -> None:
    # given
    stack.pause(PROFILES)
    # then
    feed_without_names(stack, "timeout")


def test_names_are_back_with_profiles(stack: Stack) -> None:
    # given
    stack.pause(PROFILES)
    send(f"{stack.backend_url}/api/activities/home")
    # when
    stack.resume(PROFILES)
    # then
    assert_narrow_path(stack)
