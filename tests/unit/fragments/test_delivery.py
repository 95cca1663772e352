"""Each fragment delivers through the real collector, by the vendor's own rules, and not without
what the vendor demands.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from stack.fragments import names
from stack.settings import ROOT
from stack.waiting import wait_for
from tests.unit.fragments.delivery import (
    SECRET,
    SOON,
    addressed,
    collector_with,
    fragment,
    send,
    spans,
    without,
)
from tests.unit.fragments.expectations import NO_EXPORTER, WANTED, rules_for

if TYPE_CHECKING:
    from pathlib import Path

    from stack.fragments import Fragment
    from standins.client import Client

pytestmark = pytest.mark.collector

SIZE_LIMITED = [name for name, wanted in WANTED.items() if wanted.rules.max_plain < 10_000_000]
DELTA = [name for name, wanted in WANTED.items() if wanted.rules.temporality == "delta"]


def demanded() -> list[tuple[str, str, str]]:
    """Fragment, exporter and what to take out of it: each header, and the authenticator."""
    return [
        (name, exporter, what)
        for name in names(ROOT)
        for exporter, body in fragment(name).tree.get("exporters", {}).items()
        for what in (*body.get("headers", {}), *(["auth"] if "auth" in body else []))
    ]


def signals_of(part: Fragment, exporter: str) -> list[str]:
    pipelines: dict[str, Any] = part.tree["service"]["pipelines"]
    return [
        name.partition("/")[0]
        for name, pipeline in pipelines.items()
        if exporter in pipeline["exporters"]
    ]


def test_every_fragment_has_an_expectation() -> None:
    assert set(names(ROOT)) == {*WANTED, *NO_EXPORTER}


@pytest.mark.parametrize("name", [name for name in WANTED if not WANTED[name].tls])
def test_every_signal_arrives_clean_by_the_vendors_rules(
    binary: Path, tmp_path: Path, standins: Client, trace_id: str, name: str
) -> None:
    # given
    wanted = WANTED[name]
    with collector_with(binary, tmp_path, fragment(name), addressed(wanted, standins)) as collector:
        for signal in sorted(wanted.rules.signals):
            standins.expect(rules_for(wanted, signal))
            # when
            send(collector, signal, trace_id)
            # then
            wait_for(
                f"{signal} at {name}",
                lambda signal=signal: standins.holds("otlp", trace_id).get(signal),  # type: ignore[misc]
                seconds=SOON,
            )
    held = standins.holds("otlp", trace_id)
    assert set(held) == wanted.rules.signals
    assert SECRET not in json.dumps(held)
    refused = [one for one in standins.requests("otlp") if one["status"] != 200 or "why" in one]
    assert refused == []


@pytest.mark.parametrize(("name", "exporter", "what"), demanded())
def test_nothing_arrives_without_a_header_that_the_vendor_demands(
    binary: Path,
    tmp_path: Path,
    standins: Client,
    trace_id: str,
    name: str,
    exporter: str,
    what: str,
) -> None:
    # given
    wanted = WANTED[name]
    whole = fragment(name)
    owner = ("exporters", exporter)
    cut = without(whole, *owner, what) if what == "auth" else without(whole, *owner, "headers", what)
    signal = _signal_that_demands(name, whole, exporter, what)
    standins.expect(rules_for(wanted, signal))
    with collector_with(binary, tmp_path, cut, addressed(wanted, standins)) as collector:
        # when
        send(collector, signal, trace_id)
        # then
        refusals = wait_for(
            f"a refusal of {signal} without {what}",
            lambda: [one for one in standins.requests("otlp") if one["status"] in {401, 403}],
            seconds=SOON,
        )
    expected = r"Authenti|Authorization" if what == "auth" else re.escape(repr(what))
    assert re.search(expected, refusals[0]["why"], re.IGNORECASE)
    assert standins.holds("otlp", trace_id) == {}


def _signal_that_demands(name: str, whole: Fragment, exporter: str, what: str) -> str:
    special = WANTED[name].rules.headers_by_signal
    for signal in signals_of(whole, exporter):
        if what.lower() in {header.lower() for header in special.get(signal, {})}:
            return signal
    return signals_of(whole, exporter)[0]


@pytest.mark.parametrize("name", DELTA)
def test_metrics_are_differences_where_the_vendor_wants_them(
    binary: Path, tmp_path: Path, standins: Client, trace_id: str, name: str
) -> None:
    # given
    wanted = WANTED[name]
    standins.expect(wanted.rules)
    with collector_with(binary, tmp_path, fragment(name), addressed(wanted, standins)) as collector:
        # when
        send(collector, "metrics", trace_id)
        # then
        points = wait_for(
            "both counters and both histograms",
            lambda: standins.holds("otlp", trace_id).get("metrics", []),
            until=lambda found: len(found) == 4,
            seconds=SOON,
        )
    counted = [point["value"] for point in points if point["name"] == "app.requests"]
    timed = [point["count"] for point in points if point["name"] == "http.server.request.duration"]
    assert (counted, timed) == ([3, 4], [3, 4])


@pytest.mark.parametrize("name", DELTA)
def test_totals_would_be_rejected(
    binary: Path, tmp_path: Path, standins: Client, trace_id: str, name: str
) -> None:
    # given
    wanted = WANTED[name]
    standins.expect(wanted.rules)
    processors = ("service", "pipelines", f"metrics/{name}", "processors")
    cut = without(fragment(name), *processors, "cumulativetodelta")
    with collector_with(binary, tmp_path, cut, addressed(wanted, standins)) as collector:
        # when
        send(collector, "metrics", trace_id)
        # then
        wait_for(
            "a rejection",
            lambda: [one for one in standins.requests("otlp") if "delta wanted" in one.get("why", "")],
            seconds=SOON,
        )
    assert standins.holds("otlp", trace_id) == {}


@pytest.mark.parametrize("name", SIZE_LIMITED)
def test_no_request_is_above_the_vendors_limit_under_load(
    binary: Path, tmp_path: Path, standins: Client, trace_id: str, name: str
) -> None:
    """14 MB as fast as they are taken, in bodies that are each above the limit of 1 MB."""
    # given
    wanted = WANTED[name]
    signal = "traces" if "traces" in wanted.rules.signals else "logs"
    standins.expect(rules_for(wanted, signal))
    with collector_with(binary, tmp_path, fragment(name), addressed(wanted, standins)) as collector:
        # when
        for _ in range(7):
            collector.post(signal, _big(signal, trace_id))
        # then
        counted = wait_for(
            "everything",
            lambda: standins.counts()["otlp"]["accepted"].get(signal, 0),
            until=lambda found: found >= 7 * 500,
            seconds=3 * SOON,
        )
    requests = standins.requests("otlp")
    assert counted == 7 * 500
    assert {one["status"] for one in requests} == {200}
    # What was held back was split in parts that use the room there is.
    assert len(requests) >= 14_000_000 / wanted.rules.max_plain


def test_a_vendors_limit_would_be_passed_without_the_fragments_own(
    binary: Path, tmp_path: Path, standins: Client, trace_id: str
) -> None:
    # given
    wanted = WANTED["new-relic"]
    standins.expect(wanted.rules)
    batch = ("exporters", "otlp_http/new-relic", "sending_queue", "batch", "max_size")
    cut = without(fragment("new-relic"), *batch)
    with collector_with(binary, tmp_path, cut, addressed(wanted, standins)) as collector:
        # when
        collector.post("traces", _big("traces", trace_id))
        # then
        wait_for(
            "a request that is too large",
            lambda: [one for one in standins.requests("otlp") if one["status"] == 413],
            seconds=SOON,
        )


def _big(signal: str, trace_id: str) -> dict[str, Any]:
    """500 spans or log records of 4 kB."""
    body = spans(trace_id, {}, time.time_ns(), count=500, pad=4000)
    if signal == "traces":
        return body
    records = [
        {"timeUnixNano": span["startTimeUnixNano"], "attributes": span["attributes"]}
        for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"]
    ]
    return {"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": records}]}]}


def test_mutual_tls_delivers(
    binary: Path, tmp_path: Path, tls_standins: Client, certificates: Path, trace_id: str
) -> None:
    # given
    wanted = WANTED["otlp-mtls"]
    tls_standins.expect(wanted.rules)
    environment = addressed(wanted, tls_standins, certificates)
    with collector_with(binary, tmp_path, fragment("otlp-mtls"), environment) as collector:
        # when
        for signal in wanted.rules.signals:
            send(collector, signal, trace_id)
        # then
        wait_for(
            "every signal",
            lambda: set(tls_standins.holds("otlp", trace_id)),
            until=lambda found: found == wanted.rules.signals,
            seconds=SOON,
        )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({"cut": ("cert_file", "key_file")}, "certificate required", id="no client"),
        pytest.param({"cut": ("ca_file",)}, "unknown authority", id="no authority"),
        pytest.param(
            {
                "OTLP_MTLS_CERT_FILE": "stranger.pem",
                "OTLP_MTLS_KEY_FILE": "stranger.key",
            },
            "unknown certificate authority|bad certificate",
            id="a stranger",
        ),
    ],
)
def test_mutual_tls_refuses(
    binary: Path,
    tmp_path: Path,
    tls_standins: Client,
    certificates: Path,
    trace_id: str,
    given: dict[str, Any],
    said: str,
) -> None:
    # given
    part = fragment("otlp-mtls")
    for key in given.get("cut", ()):
        part = without(part, "exporters", "otlp_http/otlp-mtls", "tls", key)
    wrong = {name: str(certificates / file) for name, file in given.items() if name != "cut"}
    environment = {**addressed(WANTED["otlp-mtls"], tls_standins, certificates), **wrong}
    with collector_with(binary, tmp_path, part, environment) as collector:
        # when
        send(collector, "traces", trace_id)
        # then
        wait_for(
            "the reason in the collector's log",
            lambda: re.search(said, collector.log),
            seconds=SOON,
        )
    assert tls_standins.holds("otlp", trace_id) == {}
