"""`LOG_ROUTE=watchtower`: the backend's logs go to CloudWatch by themselves, and only so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from emulators.client import Client
from stack.waiting import wait_for
from tests.integration.harness.account import aws
from tests.integration.harness.checkout import Checkout, running_checkout
from tests.integration.harness.traffic import Exchange, send

TRY_SECONDS = 5
"""`read_timeout` of the backend's client for CloudWatch."""

STARTS = 3


@pytest.fixture(scope="module")
def checkout(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Checkout]:
    folder, runtime = tmp_path_factory.mktemp("checkout"), request.config.getoption("--runtime")
    with running_checkout(folder, runtime, LOG_ROUTE="watchtower") as checkout:
        yield checkout


@pytest.fixture
def emulators(checkout: Checkout) -> Iterator[Client]:
    with Client(f"http://127.0.0.1:{checkout.ports['EMULATOR_CONTROL_PORT']}") as client:
        yield client
        client.heal()


def test_a_record_is_in_cloudwatch_once_with_its_trace_and_nowhere_else(
    checkout: Checkout, emulators: Client
) -> None:
    # when
    exchange = send(f"{checkout.url}/api/activities/home")
    # then
    logs = wait_for(
        "the access log's record",
        lambda: [
            log
            for log in emulators.holds("aws", exchange.trace_id).get("logs", [])
            if log["stream"] == "backend-flask"
        ],
        until=lambda logs: any(log["parsed"]["logger"] == "access" for log in logs),
        seconds=60,
    )
    access = [log["parsed"] for log in logs if log["parsed"]["logger"] == "access"]
    assert [record["url.path"] for record in access] == ["/api/activities/home"]
    assert {log["group"] for log in logs} == {"cruddur"}
    # and by the time the trace is at Honeycomb, no log record of the backend is
    held = wait_for(
        "the trace at Honeycomb",
        lambda: emulators.holds("honeycomb", exchange.trace_id),
        until=lambda held: "traces" in held,
        seconds=60,
    )
    assert [log for log in held.get("logs", []) if log.get("service.name") == "backend-flask"] == []


def test_a_refused_request_is_counted_by_client_on_this_route_too(
    checkout: Checkout, emulators: Client
) -> None:
    # given an account that `make provision` made for this route
    made = checkout.run("provision")
    assert made.code == 0, made.output
    cloudwatch = aws(checkout, "cloudwatch")
    # when
    exchange = send(f"{checkout.url}/nothing")
    wait_for(
        "the record of the refused request",
        lambda: emulators.holds("aws", exchange.trace_id).get("logs"),
        seconds=60,
    )

    # then the rule by client has counted it, though its fields are elsewhere than the collector's
    def counted() -> dict[str, Any]:
        now = datetime.now(UTC)
        report: dict[str, Any] = cloudwatch.get_insight_rule_report(
            RuleName="cruddur-clients",
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=5),
            Period=60,
        )
        return report

    report = wait_for(
        "the request in the rule's report",
        counted,
        until=lambda report: report.get("AggregateValue") == 1,
        seconds=60,
    )
    assert report["KeyLabels"] == ["$.security_client"]


@pytest.mark.only_native
def test_a_cloudwatch_that_hangs_does_not_keep_the_app_from_starting_or_serving(
    checkout: Checkout, emulators: Client
) -> None:
    # given
    emulators.break_("aws", "hang")
    # when the app starts anew, then it serves
    exchange = started_anew(checkout)
    # The port is there before the workers are, so they start on this clock: 1 s, 3.2 on two busy
    # cores. A try of CloudWatch's takes TRY_SECONDS, and other programs only ever add: the least
    # disturbed of some starts tells.
    took = [exchange.response.elapsed.total_seconds()]
    while min(took) >= TRY_SECONDS and len(took) < STARTS:
        exchange = started_anew(checkout)
        took.append(exchange.response.elapsed.total_seconds())
    assert min(took) < TRY_SECONDS, took
    # and what it logged while CloudWatch hung gets there
    emulators.heal()
    wait_for(
        "the record from before",
        lambda: emulators.holds("aws", exchange.trace_id).get("logs"),
        seconds=90,
    )


def started_anew(checkout: Checkout) -> Exchange:
    """End the app, and the first answer of what comes in its place."""
    before = checkout.main_process("cruddur:create_app()")
    before.terminate()
    wait_for("the end of the app", lambda: not before.is_running(), seconds=60)
    return wait_for(
        "an answer of the new one",
        lambda: send(f"{checkout.url}/api/activities/home"),
        until=lambda exchange: exchange.response.ok,
        seconds=60,
    )
