"""The narrowest whole path, as one assertion: a request to the home feed is one trace through both
services. The tests call it on a stack as shipped, and on spoiled ones, where it has to fail.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stack.telemetry import Span
from stack.waiting import wait_for
from tests.integration.harness.stack import BACKEND, PROFILES, Stack
from tests.integration.harness.traffic import send_for_feed
from tests.integration.harness.witness import ARRIVAL_SECONDS, server_spans


class NotServedError(Exception):
    """The app itself did not answer: nothing can be said about its telemetry."""


def assert_narrow_path(stack: Stack, seconds: float = ARRIVAL_SECONDS) -> list[Span]:
    """Ask for the home feed as user worf, and hold the trace in the file against what it has to be.

    Returns the trace's spans. Raises AssertionError, or DeadlineError where spans are missing;
    NotServedError when there was no answer that could have made them.
    """
    # when
    url = f"{stack.backend_url}/api/activities/home"
    exchange = send_for_feed(url, headers={"X-Cruddur-User": "worf"})
    if not exchange.response.ok:
        raise NotServedError(exchange.response.text)
    feed = exchange.response.json()

    # then one server span a service
    spans = wait_for(
        f"trace {exchange.trace_id} through {BACKEND} and {PROFILES}",
        lambda: stack.spans(exchange.trace_id),
        until=lambda found: all(server_spans(found, name) for name in (BACKEND, PROFILES)),
        seconds=seconds,
    )
    [backend] = server_spans(spans, BACKEND)
    [profiles] = server_spans(spans, PROFILES)
    assert backend.name == "GET /api/activities/home"
    assert backend.parent_id == exchange.parent_id
    assert backend.attributes["enduser.id"] == "worf"

    # then the app's own span under it
    [custom] = [span for span in spans if span.parent_id == backend.span_id]
    assert (custom.name, custom.kind) == ("home-activities-mock-data", "INTERNAL")
    assert custom.scope == "home.activities"
    assert custom.attributes["app.result_length"] == len(feed)
    assert custom.attributes["enduser.id"] == "worf"
    now = datetime.fromisoformat(custom.attributes["app.now"])
    assert abs(datetime.now(UTC) - now) < timedelta(seconds=seconds + 60)

    # then the database's and the call to profiles under that
    below = [span for span in spans if span.parent_id == custom.span_id]
    selects = [span for span in below if span.name.startswith("SELECT")]
    assert selects, below
    assert all(span.kind == "CLIENT" for span in selects)
    assert any("FROM activities" in statement(span) for span in selects)
    [client] = [span for span in below if span.attributes.get("http.request.method")]
    assert (client.name, client.kind) == ("GET", "CLIENT")
    assert client.attributes["http.response.status_code"] == 200

    # then the other process's span under the call, and each span within its parent
    assert profiles.name == "GET /api/profiles"
    assert profiles.parent_id == client.span_id
    assert all(span.status == "UNSET" for span in spans)
    for outer, inner in ((backend, custom), (custom, client), (client, profiles)):
        assert outer.start <= inner.start <= inner.end <= outer.end
    return spans


def statement(span: Span) -> str:
    """The SQL of a database span, by its name in either semantic convention."""
    return str(span.attributes.get("db.query.text") or span.attributes.get("db.statement") or "")
