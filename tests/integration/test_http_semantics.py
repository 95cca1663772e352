"""Spans of HTTP requests say what OpenTelemetry's conventions want, and hold nothing secret."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

import pytest

from tests.integration.harness.stack import BACKEND, PROFILES, SERVICES, Stack
from tests.integration.harness.traffic import send
from tests.integration.harness.witness import (
    wait_for_all_workers,
    wait_for_logs,
    wait_for_server_span,
)

UNKNOWN = "/api/activities/00000000-0000-4000-8000-000000000000"


def test_a_server_span_has_the_conventions_attributes(stack: Stack) -> None:
    # when
    exchange = send(f"{stack.backend_url}/api/activities/@worf", headers={"User-Agent": "klingon"})
    # then
    span = wait_for_server_span(stack, exchange, BACKEND)
    address = urlsplit(stack.backend_url)
    assert (
        span.attributes.items()
        >= {
            "http.request.method": "GET",
            "http.response.status_code": 200,
            "http.route": "/api/activities/@<handle>",
            "url.path": "/api/activities/@worf",
            "url.scheme": "http",
            "server.address": address.hostname,
            "server.port": address.port,
            "user_agent.original": "klingon",
            "network.protocol.version": "1.1",
        }.items()
    )
    assert span.attributes["client.address"]
    assert span.name == "GET /api/activities/@<handle>"


def test_old_names_of_the_conventions_are_gone(stack: Stack) -> None:
    # when
    exchange = send(f"{stack.backend_url}/api/activities/home")
    # then
    span = wait_for_server_span(stack, exchange, PROFILES)
    old = {"http.method", "http.target", "http.status_code", "http.url", "net.host.name"}
    assert old.isdisjoint(span.attributes)
    assert all(old.isdisjoint(span.attributes) for span in stack.spans(exchange.trace_id))


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("GET", UNKNOWN, 404, "/api/activities/<uuid:uuid>"),
        ("GET", "/api/activities/search?term=", 422, "/api/activities/search"),
        ("POST", "/api/activities", 422, "/api/activities"),
    ],
)
def test_a_request_that_the_client_got_wrong_is_no_error_of_the_server(
    stack: Stack, method: str, path: str, status: int, route: str
) -> None:
    # when
    exchange = send(f"{stack.backend_url}{path}", method=method, json={"message": ""})
    # then
    assert exchange.response.status_code == status
    span = wait_for_server_span(stack, exchange, BACKEND)
    assert span.status == "UNSET"
    assert span.attributes["http.response.status_code"] == status
    assert span.attributes["http.route"] == route
    assert not [event for event in span.events if event.name == "exception"]


def test_a_path_that_no_route_matches_has_no_route(stack: Stack) -> None:
    # when
    exchange = send(f"{stack.backend_url}/nowhere")
    # then
    assert exchange.response.status_code == 404
    span = wait_for_server_span(stack, exchange, BACKEND)
    assert span.status == "UNSET"
    assert "http.route" not in span.attributes


def test_an_unhandled_exception_is_an_error_with_the_exception_on_the_span(stack: Stack) -> None:
    # when
    exchange = send(f"{stack.backend_url}/api/debug/error")
    # then
    assert exchange.response.status_code == 500
    assert exchange.response.json()["trace_id"] == exchange.trace_id
    span = wait_for_server_span(stack, exchange, BACKEND)
    assert span.status == "ERROR"
    assert span.attributes["http.response.status_code"] == 500
    assert span.attributes["error.type"] == "500"
    [event] = [event for event in span.events if event.name == "exception"]
    assert event.attributes["exception.type"].endswith("ProvokedError")
    assert "provoked" in event.attributes["exception.message"]
    assert "Traceback" in event.attributes["exception.stacktrace"]


def test_what_a_client_keeps_secret_is_written_nowhere(stack: Stack) -> None:
    # given
    secret = secrets.token_hex(16)
    headers = {"Authorization": f"Bearer {secret}", "Cookie": f"session={secret}"}
    query = f"term=a&token={secret}&api_key={secret}&password={secret}"
    url = f"{stack.backend_url}/api/activities/search?{query}"
    # when
    exchange = send(url, headers=headers)
    assert exchange.response.ok
    span = wait_for_server_span(stack, exchange, BACKEND)
    wait_for_logs(stack, exchange, "access", BACKEND)
    wait_for_all_workers(stack)
    # then
    assert span.attributes["url.path"] == "/api/activities/search"
    for signal in ("traces", "metrics", "logs"):
        assert secret not in stack.record(signal).read_text()
    for service in SERVICES:
        assert secret not in stack.console(service)
