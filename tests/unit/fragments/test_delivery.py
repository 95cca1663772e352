"""Each fragment delivers through the real collector, by the vendor's own rules, and not without
what the vendor demands.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from emulators.client import Client
from emulators.core.faults import Mode
from stack.fragments import Fragment, names
from stack.settings import ROOT
from stack.waiting import wait_for
from tests.unit.fragments.delivery import SECRET, SENT, SOON, Play, fragment, send, spans, without
from tests.unit.fragments.expectations import NO_EXPORTER, WANTED, rules_for

pytestmark = pytest.mark.collector

SIZE_LIMITED = [name for name, wanted in WANTED.items() if wanted.rules.max_plain < 10_000_000]
DELTA = [name for name, wanted in WANTED.items() if wanted.rules.temporality == "delta"]


UNWANTED = "EOF|reset by peer|certificate required|unknown certificate authority"
"""How a server that closes the door is heard, depending on who is quicker."""


def demanded() -> list[tuple[str, str, str]]:
    """Fragment, exporter and what to take out of it: each header, and the authenticator."""
    return [
        (name, exporter, what)
        for name in names(ROOT)
        for exporter, body in fragment(name).tree.get("exporters", {}).items()
        for what in (*body.get("headers", {}), *(["auth"] if "auth" in body else []))
    ]


def test_every_fragment_has_an_expectation() -> None:
    assert set(names(ROOT)) == {*WANTED, *NO_EXPORTER}


@pytest.mark.parametrize("name", WANTED)
def test_every_signal_arrives_clean_by_the_vendors_rules(
    play: Play, trace_id: str, name: str
) -> None:
    # given
    wanted = WANTED[name]
    with play(name) as (collector, emulators):
        for signal in sorted(wanted.rules.signals):
            emulators.expect(rules_for(wanted, signal))
            # when
            send(collector, signal, trace_id)
            # then: all of it, before the rules are the next signal's
            wait_for(
                f"{signal} at {name}",
                _held(emulators, trace_id, signal),
                until=lambda found, signal=signal: len(found) == SENT[signal],  # type: ignore[misc]
                seconds=SOON,
            )
    held = emulators.holds("otlp", trace_id)
    assert set(held) == wanted.rules.signals
    assert SECRET not in json.dumps(held)
    assert [one for one in emulators.requests("otlp") if one["status"] != 200 or "why" in one] == []


@pytest.mark.parametrize(("name", "exporter", "what"), demanded())
def test_nothing_arrives_without_a_header_that_the_vendor_demands(
    play: Play, trace_id: str, name: str, exporter: str, what: str
) -> None:
    # given
    whole = fragment(name)
    path = ("exporters", exporter, *([] if what == "auth" else ["headers"]), what)
    signal = _signal_that_demands(whole, exporter, what)
    with play(name, without(whole, *path), signal=signal) as (collector, emulators):
        # when
        send(collector, signal, trace_id)
        # then
        refusal = wait_for(
            f"a refusal of {signal} without {what}",
            lambda: [one for one in emulators.requests("otlp") if one["status"] in {401, 403}],
            seconds=SOON,
        )[0]
    missing = "Authenti|Authorization" if what == "auth" else re.escape(repr(what))
    assert re.search(missing, refusal["why"], re.IGNORECASE)
    assert emulators.holds("otlp", trace_id) == {}


@pytest.mark.parametrize("name", DELTA)
def test_metrics_are_differences_where_the_vendor_wants_them(
    play: Play, trace_id: str, name: str
) -> None:
    # given
    with play(name) as (collector, emulators):
        # when
        send(collector, "metrics", trace_id)
        # then
        points = wait_for(
            "both counters and both histograms",
            _held(emulators, trace_id, "metrics"),
            until=lambda found: len(found) == 4,
            seconds=SOON,
        )
    counted = [point["value"] for point in points if point["name"] == "app.requests"]
    timed = [point["count"] for point in points if point["name"] == "http.server.request.duration"]
    # In two requests on a busy machine, of which either may come first.
    assert (sorted(counted), sorted(timed)) == ([3, 4], [3, 4])


@pytest.mark.parametrize("name", DELTA)
def test_totals_would_be_rejected(play: Play, trace_id: str, name: str) -> None:
    # given
    processors = ("service", "pipelines", f"metrics/{name}", "processors")
    cut = without(fragment(name), *processors, "cumulativetodelta")
    with play(name, cut) as (collector, emulators):
        # when
        send(collector, "metrics", trace_id)
        # then
        wait_for(
            "a rejection",
            lambda: ["delta wanted" in one.get("why", "") for one in emulators.requests("otlp")],
            until=any,
            seconds=SOON,
        )
    assert emulators.holds("otlp", trace_id) == {}


@pytest.mark.parametrize("name", SIZE_LIMITED)
def test_no_request_is_above_the_vendors_limit_under_load(
    play: Play, trace_id: str, name: str
) -> None:
    """6 MB as fast as they are taken, in bodies that are each above a limit of 1 MB."""
    # given
    rules = WANTED[name].rules
    signal = "traces" if "traces" in rules.signals else "logs"
    with play(name, signal=signal) as (collector, emulators):
        # when
        for _ in range(3):
            collector.post(signal, _big(signal, trace_id))
        # then
        wait_for(
            "everything",
            lambda: emulators.counts()["otlp"]["accepted"].get(signal, 0),
            until=lambda found: found == 3 * 500,
            seconds=3 * SOON,
        )
    requests = emulators.requests("otlp")
    assert {one["status"] for one in requests} == {200}
    # Not span by span either: the room of a request is used.
    assert 6_000_000 / rules.max_plain <= len(requests) <= 30


def test_a_vendors_limit_would_be_passed_without_the_fragments_own(
    play: Play, trace_id: str
) -> None:
    # given
    path = ("exporters", "otlp_http/new-relic", "sending_queue", "batch", "max_size")
    with play("new-relic", without(fragment("new-relic"), *path)) as (collector, emulators):
        # when
        collector.post("traces", _big("traces", trace_id))
        # then
        wait_for(
            "a request that is too large",
            lambda: [one["status"] for one in emulators.requests("otlp")],
            until=lambda seen: 413 in seen,
            seconds=SOON,
        )


@pytest.mark.parametrize("mode", ["hang", "503", "refuse"])
def test_a_vendor_that_fails_holds_nobody_up_and_gets_everything_later(
    play: Play, trace_id: str, mode: Mode
) -> None:
    # given
    with play("signoz") as (collector, emulators):
        emulators.break_("otlp", mode)
        try:
            # when
            started = time.monotonic()
            for _ in range(20):
                send(collector, "traces", trace_id)
            seconds = time.monotonic() - started
            # then
            written = collector.wait_for_file("traces", trace_id)
            assert emulators.counts()["otlp"]["accepted"] == {}
        finally:
            emulators.heal()
        spans_held = wait_for(
            "all spans after the vendor is well",
            _held(emulators, trace_id, "traces"),
            until=lambda found: len({span["span_id"] for span in found}) == 20,
            seconds=3 * SOON,
        )
    assert written
    assert seconds < SOON / 2
    assert len(spans_held) == 20


@pytest.mark.parametrize(
    ("cut", "files", "said"),
    [
        pytest.param(("cert_file", "key_file"), {}, UNWANTED, id="no client"),
        pytest.param(("ca_file",), {}, "unknown authority", id="no authority"),
        pytest.param(
            (),
            {"OTLP_MTLS_CERT_FILE": "stranger.pem", "OTLP_MTLS_KEY_FILE": "stranger.key"},
            UNWANTED,
            id="a stranger",
        ),
    ],
)
def test_mutual_tls_refuses(
    play: Play, trace_id: str, cut: tuple[str, ...], files: dict[str, str], said: str
) -> None:
    # given
    part = fragment("otlp-mtls")
    for key in cut:
        part = without(part, "exporters", "otlp_http/otlp-mtls", "tls", key)
    with play("otlp-mtls", part, files=files) as (collector, emulators):
        # when
        send(collector, "traces", trace_id)
        # then
        wait_for(
            "the reason in the collector's log",
            lambda: re.search(f"otlp-mtls.*({said})", collector.log),
            seconds=SOON,
        )
    assert emulators.requests("otlp") == []


def _held(emulators: Client, trace_id: str, signal: str) -> Any:
    return lambda: emulators.holds("otlp", trace_id).get(signal, [])


def _signal_that_demands(whole: Fragment, exporter: str, what: str) -> str:
    """The first signal of the exporter's for which the vendor's rules name the header."""
    pipelines: dict[str, Any] = whole.tree["service"]["pipelines"]
    carried = [
        name.partition("/")[0] for name, one in pipelines.items() if exporter in one["exporters"]
    ]
    special = {
        signal: {header.lower() for header in headers}
        for signal, headers in WANTED[whole.name].rules.headers_by_signal.items()
    }
    return next(
        (signal for signal in carried if what.lower() in special.get(signal, ())),  # type: ignore[call-overload]
        carried[0],
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
