"""Spans on which the X-Ray exporter panics, beside ordinary ones: these arrive, and the others are
counted and kept, each with its reason.
"""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from stack.commands import status
from stack.dead_letters import piles
from stack.doctor.collector import check_dead_letters, check_delivery
from stack.doctor.setup import Setup
from stack.runtimes.chosen import RUNTIMES
from stack.vendors import vendors
from stack.waiting import wait_for
from tests.faults.harness.bench import Bench

pytestmark = pytest.mark.only_native

POISONOUS = 10
ORDINARY = 1000
BATCH = 50
"""What the queue to X-Ray sends at once."""

SOON_SECONDS = 5
PATIENT_SECONDS = 60
"""For a machine that others keep busy."""


def attributes(**values: str) -> list[dict[str, Any]]:
    return [
        {"key": name.replace("_", "."), "value": {"stringValue": value}}
        for name, value in values.items()
    ]


def span(name: str, **more: Any) -> dict[str, Any]:
    now = time.time_ns()
    # X-Ray wants the time in a trace's id.
    trace = f"{now // 10**9:08x}{secrets.token_hex(12)}"
    return {
        "traceId": trace,
        "spanId": secrets.token_hex(8),
        "name": name,
        "kind": 2,
        "startTimeUnixNano": str(now - 10**6),
        "endTimeUnixNano": str(now),
        **more,
    }


def failing(stack: str) -> dict[str, Any]:
    event = {
        "name": "exception",
        "timeUnixNano": str(time.time_ns()),
        "attributes": attributes(exception_type="E", exception_stacktrace=stack),
    }
    return span("poison", events=[event])


def local_root() -> dict[str, Any]:
    own = attributes(aws_span_kind="LOCAL_ROOT", aws_local_service="shop")
    return span("poison", kind=3, attributes=own)


DOTNET = "System.Exception: boom\n   at Shop.Api.Post() in /src/Api.cs:line"
JAVA = "java.lang.RuntimeException: x\n\tat a.B.c(B.java:1)\nCaused by: com.shop.PayError:"

POISON: tuple[tuple[Callable[[], dict[str, Any]], dict[str, str]], ...] = (
    (lambda: failing(DOTNET), {"telemetry_sdk_language": "dotnet"}),
    (lambda: failing(JAVA), {"telemetry_sdk_language": "java"}),
    (local_root, {"cloud_provider": "gcp"}),
)


def post(bench: Bench, spans: list[dict[str, Any]], **resource: str) -> None:
    body = {
        "resourceSpans": [
            {
                "resource": {"attributes": attributes(**resource)},
                "scopeSpans": [{"spans": spans}],
            }
        ]
    }
    answer = requests.post(f"{bench.otlp_url}/v1/traces", json=body, timeout=30)
    assert answer.status_code == 200, answer.text


def ids(spans: list[dict[str, Any]]) -> set[str]:
    return {f"{one['traceId']}:{one['spanId']}" for one in spans}


@pytest.mark.alone
def test_ten_poisonous_spans_in_ten_batches_and_a_thousand_ordinary_ones(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given
    before = bench.ledger()["xray", "traces"]
    letters_before = {letter.path for letter in bench.letters()}
    ordinary = [span("ordinary") for _ in range(ORDINARY)]
    poisonous = []
    # when
    for number in range(POISONOUS):
        make, resource = POISON[number % len(POISON)]
        poisonous.append(make())
        post(bench, poisonous[-1:], service_name=f"shop-{number}", **resource)
        post(bench, ordinary[number * BATCH : (number + 1) * BATCH - 1], service_name="orders")
    sent = ids([one for n in range(POISONOUS) for one in ordinary[n * BATCH : (n + 1) * BATCH - 1]])
    rest = [one for one in ordinary if next(iter(ids([one]))) not in sent]
    post(bench, rest, service_name="orders")
    sent_at = time.time()
    # then X-Ray has the ordinary ones
    wanted = ids(ordinary)
    wait_for(
        "X-Ray to have the ordinary spans",
        lambda: len(wanted - bench.client.ids("xray").keys()),
        until=lambda missing: not missing,
        seconds=PATIENT_SECONDS,
        pause=0.1,
    )
    came = bench.client.arrivals("xray")
    took = max(came[one] for one in wanted) - sent_at
    with capsys.disabled():
        print(f"\n{ORDINARY} beside {POISONOUS} poisonous ones: at X-Ray after {took:.1f} s")
    assert took < SOON_SECONDS
    # and each once
    assert {bench.client.ids("xray")[one] for one in wanted} == {1}
    # and the ten are kept, each alone, with its reason and its sender
    letters = wait_for(
        "ten dead letters",
        lambda: [one for one in bench.letters() if one.path not in letters_before],
        until=lambda found: len(found) >= POISONOUS,
        seconds=PATIENT_SECONDS,
    )
    assert len(letters) == POISONOUS
    assert {one.header.items for one in letters} == {1}
    assert {one.header.service for one in letters} == {f"shop-{n}" for n in range(POISONOUS)}
    for letter in letters:
        assert "the exporter panicked on it: runtime error: " in letter.header.reason
        assert "translator." in letter.header.reason
    # and the ledger counts them
    after = bench.ledger()["xray", "traces"]
    assert after.failed - before.failed == POISONOUS
    assert after.sent - before.sent == ORDINARY
    # and status tells it
    monkeypatch.setattr(status, "running_plan", lambda: bench.plan)
    runtime = dataclasses.make_dataclass("Runtime", ["status", "output"])(
        lambda _plan: [], lambda _plan, _name: bench.log.read_text().splitlines()
    )
    monkeypatch.setitem(RUNTIMES, bench.plan.runtime, runtime)
    with pytest.raises(BaseException, match="1"):
        status.run(as_json=False)
    told = capsys.readouterr().out
    for pile in piles(letters):
        assert pile.reason[:60] in told
    # and doctor, with what to do
    setup = Setup(bench.plan.settings, bench.plan, True, vendors(bench.plan.settings, "127.0.0.1"))
    problems = [one for one in check_dead_letters(setup) if one.verdict == "problem"]
    told = "\n".join(f"{one.what}; {one.todo}" for one in problems)
    assert "xray has not got" in told
    assert "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT" in told
    assert "LOCAL_ROOT" in told
    assert any("spans failed" in one.what for one in check_delivery(setup))
