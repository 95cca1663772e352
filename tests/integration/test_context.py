"""The caller's W3C trace context is honoured."""

from __future__ import annotations

import requests

from stack.waiting import wait_for
from tests.integration.harness.stack import BACKEND, PROFILES, Stack
from tests.integration.harness.traffic import send
from tests.integration.harness.witness import (
    ARRIVAL_SECONDS,
    wait_for_all_workers,
    wait_for_server_span,
)


def test_a_trace_that_the_client_began_goes_on(stack: Stack) -> None:
    # when
    exchange = send(f"{stack.backend_url}/api/activities/home")
    # then
    backend = wait_for_server_span(stack, exchange, BACKEND)
    profiles = wait_for_server_span(stack, exchange, PROFILES)
    assert backend.parent_id == exchange.parent_id
    assert profiles.trace_id == backend.trace_id == exchange.trace_id


def test_a_client_that_does_not_sample_does_not_decide_for_us(stack: Stack) -> None:
    # when
    exchange = send(f"{stack.backend_url}/api/activities/home", sampled=False)
    # then
    backend = wait_for_server_span(stack, exchange, BACKEND)
    profiles = wait_for_server_span(stack, exchange, PROFILES)
    assert backend.parent_id == exchange.parent_id
    assert profiles.trace_id == backend.trace_id == exchange.trace_id


def test_profiles_follows_its_caller(stack: Stack) -> None:
    # given
    exchange = send(f"{stack.profiles_url}/api/profiles?handles=worf", sampled=False)
    assert exchange.response.ok
    # when
    wait_for_all_workers(stack)
    # then
    assert stack.spans(exchange.trace_id) == []


def test_a_traceparent_that_is_none_begins_a_new_trace(stack: Stack) -> None:
    # given
    broken = "00-00000000000000000000000000000000-0000000000000000-01"
    path = "/api/activities/5d1c2f0e-7a41-4c1f-8a55-1f0a5c1b7e21"
    # when
    requests.get(f"{stack.backend_url}{path}", headers={"traceparent": broken}, timeout=30)
    # then
    [span] = wait_for(
        f"the span of {path}",
        lambda: [span for span in stack.spans() if span.attributes.get("url.path") == path],
        seconds=ARRIVAL_SECONDS,
    )
    assert span.parent_id == ""
    assert span.trace_id.strip("0")
