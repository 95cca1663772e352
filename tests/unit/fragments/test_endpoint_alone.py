"""Cruddur's own way: the SDK in the code, and nothing changed but where its endpoint points."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from emulators.client import Client
from emulators.honeycomb.settings import Settings
from stack.waiting import wait_for
from tests.unit.collector.running import CONFIG, running
from tests.unit.fragments.delivery import SOON
from tests.unit.fragments.expectations import AWS
from tests.unit.fragments.migrating import app, vendors_of

pytestmark = pytest.mark.collector

ROUTE = "GET /api/activities/home"
SPANS = {ROUTE, "home-activities-mock-data"}


@pytest.fixture
def emulators(every_emulator: Callable[[str], Client]) -> Client:
    client = every_emulator("none")
    client.reset(everything=True)
    return client


@pytest.fixture
def as_it_was(emulators: Client) -> dict[str, str]:
    """The app's environment while it sent to Honeycomb itself."""
    return {
        "OTEL_SERVICE_NAME": "backend-flask",
        "OTEL_EXPORTER_OTLP_ENDPOINT": emulators.address("honeycomb"),
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-honeycomb-team={Settings().key}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }


def test_straight_to_honeycomb_as_before(
    emulators: Client, as_it_was: dict[str, str], tmp_path: Path, trace_id: str
) -> None:
    # given
    with app("otel_in_code", tmp_path, as_it_was) as url:
        # when
        _ask(url, trace_id)
        # then
        assert _spans(emulators, "honeycomb", trace_id) == SPANS


def test_with_its_endpoint_on_the_collector_every_vendor_gets_it(
    binary: Path, emulators: Client, as_it_was: dict[str, str], tmp_path: Path, trace_id: str
) -> None:
    # given
    with running(binary, tmp_path, CONFIG, {**AWS, **vendors_of(emulators)}) as collector:
        changed = {**as_it_was, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.otlp}
        with app("otel_in_code", tmp_path, changed) as url:
            # when
            _ask(url, trace_id)
            # then
            assert _spans(emulators, "honeycomb", trace_id) == SPANS
            collector.wait_for_file("traces", trace_id)
            wait_for(
                "the segments",
                lambda: emulators.holds("xray", trace_id).get("traces"),
                seconds=SOON,
            )


def _ask(url: str, trace_id: str) -> None:
    answer = requests.get(
        f"{url}/api/activities/home",
        headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"},
        timeout=60,
    )
    assert answer.status_code == 200


def _spans(emulators: Client, vendor: str, trace_id: str) -> set[str]:
    held = wait_for(
        f"both spans at {vendor}",
        lambda: emulators.holds(vendor, trace_id).get("traces", []),
        until=lambda spans: len(spans) == len(SPANS),
        seconds=SOON,
    )
    return {span["event"]["name"] for span in held}
