"""One request is one trace, from the client through two processes to the database."""

from __future__ import annotations

import requests

from stack.waiting import wait_for
from tests.integration.harness.narrow_path import assert_narrow_path
from tests.integration.harness.stack import BACKEND, PROFILES, Stack
from tests.integration.harness.traffic import send, send_for_feed
from tests.integration.harness.witness import (
    ARRIVAL_SECONDS,
    wait_for_all_workers,
    wait_for_server_span,
)


def test_a_request_to_the_home_feed_is_one_trace_through_both_services(stack: Stack) -> None:
    assert_narrow_path(stack)


def test_each_span_says_who_made_it(stack: Stack) -> None:
    # when
    spans = assert_narrow_path(stack)
    # then
    assert {span.service for span in spans} == {BACKEND, PROFILES}
    for span in spans:
        assert span.resource["service.name"] == span.service
        assert span.resource["deployment.environment"] == "local"
        assert span.resource["service.version"] not in ("", "unknown")
        assert span.resource["telemetry.sdk.language"] == "python"
        assert span.resource["service.instance.id"]


def test_the_feed_has_names_from_profiles(stack: Stack) -> None:
    # when
    feed = send_for_feed(f"{stack.backend_url}/api/activities/home").response.json()
    # then
    assert len(feed) >= 5
    assert all(activity["display_name"] and activity["picture"] for activity in feed)
    assert feed == sorted(feed, key=lambda activity: activity["created_at"], reverse=True)


def test_without_a_user_the_span_says_anonymous(stack: Stack) -> None:
    # when
    exchange = send(f"{stack.backend_url}/api/activities/home")
    # then
    span = wait_for_server_span(stack, exchange, BACKEND)
    assert span.attributes["enduser.id"] == "anonymous"


def test_a_request_without_traceparent_begins_a_trace(stack: Stack) -> None:
    # given a request that can be told from all others by its path
    path = "/api/activities/9f3a54a5-6b8e-4a0e-9d6c-0d9c0f6f5c11"
    # when
    requests.get(f"{stack.backend_url}{path}", timeout=30)
    # then
    [root] = wait_for(
        f"the span of {path}",
        lambda: [span for span in stack.spans() if span.attributes.get("url.path") == path],
        seconds=ARRIVAL_SECONDS,
    )
    assert root.parent_id == ""
    assert len(root.trace_id) == 32


def test_health_checks_leave_no_trace(stack: Stack) -> None:
    # given
    health = send(f"{stack.backend_url}/api/health-check")
    assert health.response.ok
    # when
    wait_for_all_workers(stack)
    # then
    assert stack.spans(health.trace_id) == []
    assert stack.logs(health.trace_id) == []
