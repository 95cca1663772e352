"""What the feed looks like when profiles-flask answers, and when it does not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.local_http import Handler
from tests.unit.services.conftest import MakeClient
from tests.unit.services.fake_profiles import FakeProfiles, everybody, serve_profiles

PATIENT = 60
"""Seconds, where an answer comes: a busy machine took more than the half that is usual."""


def test_names_and_pictures_come_in_one_call(make_client: MakeClient) -> None:
    with serve_profiles(everybody) as profiles:
        client = make_client(profiles_url=profiles.url, profiles_timeout=PATIENT)
        feed = client.get("/api/activities/home").json

    assert feed
    for activity in feed:
        for one in (activity, *activity["replies"]):
            assert one["display_name"] == one["handle"].title()
            assert one["picture"] == f"data:,{one['handle']}"
    assert profiles.asked == ["/api/profiles?handles=andrewbrown%2Cbayko%2Cgarek%2Clondo%2Cworf"]


def test_an_unknown_handle_stays_without_a_name(make_client: MakeClient) -> None:
    def nobody(handler: Handler, _: FakeProfiles) -> None:
        handler.answer(200, b'{"profiles": {}}')

    with serve_profiles(nobody) as profiles:
        client = make_client(profiles_url=profiles.url, profiles_timeout=PATIENT)
        feed = client.get("/api/activities/home").json

    assert {activity["display_name"] for activity in feed or []} == {None}


def test_an_empty_feed_asks_nobody(make_client: MakeClient) -> None:
    with serve_profiles(everybody) as profiles:
        make_client(profiles_url=profiles.url).get("/api/activities/@nobody")

    assert profiles.asked == []


def hang(_: Handler, fake: FakeProfiles) -> None:
    fake.ends.wait(PATIENT)


def drip(handler: Handler, fake: FakeProfiles) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    while not fake.ends.wait(0.05):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def fail(handler: Handler, _: FakeProfiles) -> None:
    handler.answer(500, b"{}")


def redirect(handler: Handler, _: FakeProfiles) -> None:
    handler.send_response(302)
    handler.send_header("Location", "http://127.0.0.1:1/")
    handler.end_headers()


def hang_up(handler: Handler, _: FakeProfiles) -> None:
    handler.close_connection = True


def answers(content: bytes) -> Callable[[Handler, FakeProfiles], None]:
    return lambda handler, _: handler.answer(200, content)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (hang, "timeout"),
        (drip, "timeout"),
        (fail, "status_500"),
        (redirect, "status_302"),
        (hang_up, "unreachable"),
        (answers(b"not json"), "invalid_answer"),
        (answers(b"[]"), "invalid_answer"),
        (answers(b'{"profiles": {"worf": {}}}'), "invalid_answer"),
        (answers(b'{"profiles": [1]}'), "invalid_answer"),
        (answers(b" " * (1 << 20) + b'{"profiles": {}}'), "invalid_answer"),
    ],
)
def test_the_feed_comes_without_names_and_the_span_and_the_log_say_why(
    make_client: MakeClient,
    spans: InMemorySpanExporter,
    caplog: pytest.LogCaptureFixture,
    behaviour: Callable[[Handler, FakeProfiles], None],
    reason: str,
) -> None:
    with serve_profiles(behaviour) as profiles:
        # Longer than a busy machine keeps a byte back: or each of them would be late by itself.
        timeout = 1 if reason == "timeout" else PATIENT
        client = make_client(profiles_url=profiles.url, profiles_timeout=timeout)
        started = time.monotonic()
        answer = client.get("/api/activities/home")
        seconds = time.monotonic() - started

    assert answer.status_code == 200
    assert answer.json
    assert {activity["display_name"] for activity in answer.json} == {None}
    # Who hangs would do so for sixty seconds, who drips for fifty.
    assert seconds < PATIENT / 2
    check_reason(reason, spans, caplog)


def test_the_same_when_nobody_listens(
    make_client: MakeClient, spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    assert make_client().get("/api/activities/home").status_code == 200

    check_reason("unreachable", spans, caplog)


def check_reason(
    reason: str, spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    (span,) = [s for s in spans.get_finished_spans() if s.name == "home-activities-mock-data"]
    assert (span.attributes or {})["app.profiles.unavailable"] == reason
    (event,) = span.events
    assert (event.name, dict(event.attributes or {})) == (
        "profiles unavailable",
        {"reason": reason},
    )
    (warning,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert reason in warning.getMessage()
    assert warning.exc_info is None
