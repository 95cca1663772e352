"""The span that the home route makes itself."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def home_span(spans: InMemorySpanExporter) -> ReadableSpan:
    (span,) = [
        span for span in spans.get_finished_spans() if span.name == "home-activities-mock-data"
    ]
    return span


def test_it_says_when_how_many_and_for_whom(
    client: FlaskClient, spans: InMemorySpanExporter
) -> None:
    feed = client.get("/api/activities/home", headers={"X-Cruddur-User": "worf@ds9.example"}).json

    span = home_span(spans)
    assert span.instrumentation_scope
    assert span.instrumentation_scope.name == "home.activities"
    assert span.attributes
    assert span.attributes["app.result_length"] == len(feed or [])
    assert span.attributes["enduser.id"] == "worf@ds9.example"
    now = datetime.fromisoformat(str(span.attributes["app.now"]))
    assert now.utcoffset() == timedelta(0)


def test_without_the_header_the_user_is_anonymous(
    client: FlaskClient, spans: InMemorySpanExporter
) -> None:
    client.get("/api/activities/home")

    assert (home_span(spans).attributes or {})["enduser.id"] == "anonymous"


@pytest.mark.parametrize("path", ["home", "@worf", "search?term=a"])
def test_the_server_span_gets_the_user_as_well(
    client: FlaskClient, spans: InMemorySpanExporter, path: str
) -> None:
    # X-Ray takes a segment's user from there, and from nowhere else
    with trace.get_tracer("test").start_as_current_span("server"):
        client.get(f"/api/activities/{path}", headers={"X-Cruddur-User": "worf"})

    (server,) = [span for span in spans.get_finished_spans() if span.name == "server"]
    assert (server.attributes or {})["enduser.id"] == "worf"
