"""Errors as the API shows them, and who may call it."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.unit.services.conftest import MakeClient

ORIGIN = "http://127.0.0.1:3000"


def test_an_unknown_path_is_json_too(client: FlaskClient) -> None:
    answer = client.get("/api/nothing")

    assert answer.status_code == 404
    assert answer.json
    assert (answer.json["error"], answer.json["status"]) == ("Not Found", 404)


def test_a_wrong_method_names_the_right_ones(client: FlaskClient) -> None:
    answer = client.delete("/api/activities/home")

    assert answer.status_code == 405
    assert answer.json
    assert answer.json["status"] == 405
    assert "GET" in answer.headers["Allow"]


def test_an_error_that_nobody_handles_is_a_500_that_tells_nothing_of_the_inside(
    make_client: MakeClient,
) -> None:
    answer = make_client(debug_routes=True).get("/api/debug/error")

    assert answer.status_code == 500
    assert answer.json
    assert answer.json["status"] == 500
    assert "provoked" not in answer.text


def test_a_500_carries_the_trace_to_look_for(
    make_client: MakeClient, spans: InMemorySpanExporter
) -> None:
    from opentelemetry import trace  # noqa: PLC0415

    client = make_client(debug_routes=True)
    with trace.get_tracer("test").start_as_current_span("request"):
        answer = client.get("/api/debug/error")

    (span,) = [span for span in spans.get_finished_spans() if span.name == "request"]
    assert span.context
    assert answer.json
    assert answer.json["trace_id"] == f"{span.context.trace_id:032x}"


def test_the_route_that_fails_is_not_there_unless_asked_for(client: FlaskClient) -> None:
    assert client.get("/api/debug/error").status_code == 404


def test_the_health_check_answers(client: FlaskClient) -> None:
    answer = client.get("/api/health-check")

    assert (answer.status_code, answer.json) == (200, {"success": True})


@pytest.mark.parametrize("user", ["", "a b", "x" * 65, "<script>", "-x", "ü"])
def test_a_user_id_that_cannot_be_one_is_refused(client: FlaskClient, user: str) -> None:
    answer = client.get("/api/activities/home", headers={"X-Cruddur-User": user})

    assert answer.status_code == 400
    assert answer.json
    assert "X-Cruddur-User" in answer.json["message"]


def test_the_page_may_send_its_trace_along(client: FlaskClient) -> None:
    answer = client.options(
        "/api/activities/home",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "traceparent, tracestate, baggage, x-cruddur-user",
        },
    )

    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    for header in ("traceparent", "tracestate", "baggage", "x-cruddur-user"):
        assert header in allowed


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:3001", f"{ORIGIN}.evil.example", "null"]
)
def test_another_page_may_not(client: FlaskClient, origin: str) -> None:
    answer = client.get("/api/activities/home", headers={"Origin": origin})

    assert "Access-Control-Allow-Origin" not in answer.headers


def test_origins_are_taken_as_they_are_written(make_client: MakeClient) -> None:
    # flask-cors takes an origin with a `*` or the like for a regular expression
    client = make_client(frontend_origins=("http://page.example",))

    answer = client.get("/api/health-check", headers={"Origin": "http://pageXexample"})

    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_body_above_the_limit_is_refused_unread(client: FlaskClient) -> None:
    message = {"message": "x" * 100_000}

    answer = client.post("/api/activities", json=message, headers={"X-Cruddur-User": "andrewbrown"})

    assert answer.status_code == 413
    assert answer.json
    assert answer.json["status"] == 413
