"""What the filters, queries and the template itself do, played on the emulators."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from emulators import inprocess
from emulators.client import Client
from stack.provision.account import Target
from stack.provision.change_set import STACK, execute
from stack.provision.template import Template
from stack.settings import ROOT
from stack.waiting import wait_for
from tests.unit import alarm_clock
from tests.unit.aws.played import proposed, provision, target_of

TRACE_ID = "5759e988bd862e3fe1be46a994272793"
Shape = dict[str, Any]


@pytest.fixture(scope="module")
def played() -> Iterator[Client]:
    with inprocess.running() as emulators:
        yield emulators


@pytest.fixture
def target(played: Client) -> Target:
    played.reset(everything=True)
    return target_of(played)


def by_collector(
    status: int,
    seconds: float,
    service: str = "backend-flask",
    security: Mapping[str, str] | None = None,
) -> Shape:
    """Write a record of the access log as awscloudwatchlogs does."""
    http = {"http.response.status_code": status, "http.server.request.duration": seconds}
    return {
        "body": f"GET /api/activities/home {status}",
        "severity_text": "INFO",
        "trace_id": TRACE_ID,
        "span_id": "53995c3f42cd8ad8",
        "attributes": {**http, **(security or {})},
        "resource": {"service.name": service},
    }


def by_watchtower(
    status: int,
    seconds: float,
    service: str = "backend-flask",
    security: Mapping[str, str] | None = None,
) -> Shape:
    """Write the same record as the app does with LOG_ROUTE=watchtower."""
    return {
        "level": "INFO",
        "message": f"GET /api/activities/home {status}",
        "service": service,
        "trace_id": TRACE_ID,
        "http.response.status_code": status,
        "http.server.request.duration": seconds,
        **(security or {}),
    }


def write(target: Target, records: list[Shape], at: float | None = None) -> None:
    logs = target.client("logs")
    logs.create_log_stream(logGroupName="cruddur", logStreamName="s")
    now = int((at or time.time()) * 1000)
    events = [{"timestamp": now, "message": json.dumps(record)} for record in records]
    answer = logs.put_log_events(logGroupName="cruddur", logStreamName="s", logEvents=events)
    assert "rejectedLogEventsInfo" not in answer


@pytest.mark.parametrize("record", [by_collector, by_watchtower])
def test_the_access_log_is_measured_on_either_route(
    target: Target, played: Client, record: Callable[..., Shape]
) -> None:
    # given a provisioned account
    provision(target)
    # when requests of all kinds are logged, and others that are not ours or not requests
    statuses = [200, 200, 400, 401, 403, 404, 422, 500, 503]
    probe = {"security_event": "probe", "security_client": "192.0.2.7"}
    write(
        target,
        [
            *(record(status, 0.25) for status in statuses),
            record(200, 0.25, security=probe),
            record(200, 9.0, service="profiles-flask", security=probe),
            record(500, 9.0, service="profiles-flask"),
            {"body": "starting", "resource": {"service.name": "backend-flask"}},
        ],
    )
    # then each is counted where it belongs
    counted = {
        name: sum(
            value * count
            for metric in played.metrics("cruddur", name)
            for value, count in metric["values"]
        )
        for name in ("Requests", "Errors", "Denied", "NotFound", "Invalid", "Probes", "Latency")
    }
    assert counted == {
        "Requests": 10,
        "Errors": 2,
        "Denied": 2,
        "NotFound": 1,
        "Invalid": 2,
        "Probes": 1,
        "Latency": 2.5,
    }


@pytest.mark.parametrize(
    ("route", "record"), [("otlp", by_collector), ("watchtower", by_watchtower)]
)
@pytest.mark.parametrize(("clients", "state"), [(1, "ALARM"), (3, "OK")])
def test_what_one_client_does_is_told_from_what_many_do(  # noqa: PLR0917
    target: Target,
    monkeypatch: pytest.MonkeyPatch,
    route: str,
    record: Callable[..., Shape],
    clients: int,
    state: str,
) -> None:
    # given an account whose alarm by client goes off at more than 60
    provision(target, LogRoute=route)
    now = alarm_clock.stop(monkeypatch)
    # when 61 requests are refused, by one client or by three
    refused = [
        {"security_event": "not_found", "security_client": f"192.0.2.{at % clients}"}
        for at in range(61)
    ]
    records = [record(404, 0.1, security=security) for security in refused]
    write(target, records, now.timestamp())
    # then
    cloudwatch = target.client("cloudwatch")
    [alarm] = cloudwatch.describe_alarms(AlarmNames=["cruddur-one-client"])["MetricAlarms"]
    assert alarm["StateValue"] == state, alarm["StateReason"]


@pytest.mark.parametrize("record", [by_collector, by_watchtower])
def test_the_saved_queries_tell_who_was_refused_and_what_was_probed(
    target: Target, record: Callable[..., Shape]
) -> None:
    # given
    provision(target)
    one, other = ({"security_client": f"192.0.2.{last}"} for last in (1, 2))
    write(
        target,
        [
            record(200, 0.1),
            *(record(404, 0.1, security=one | {"security_event": "not_found"}) for _ in range(3)),
            record(422, 0.1, security=other | {"security_event": "invalid"}),
            record(
                500,
                0.1,
                security=other | {"security_event": "probe", "security_rule.name": "sql_injection"},
            ),
        ],
    )
    # when
    refused = ask(target, saved_query(target, "cruddur/refused by client"))
    [probe] = ask(target, saved_query(target, "cruddur/probes"))
    [invalid] = ask(target, saved_query(target, "cruddur/invalid by route"))
    # then
    assert {(row["client"], row["event"], row["requests"]) for row in refused} == {
        ("192.0.2.1", "not_found", "3"),
        ("192.0.2.2", "invalid", "1"),
        ("192.0.2.2", "probe", "1"),
    }
    assert refused[0]["trace"] == TRACE_ID
    assert (probe["client"], probe["shape"], probe["status"], probe["trace_id"]) == (
        "192.0.2.2",
        "sql_injection",
        "500",
        TRACE_ID,
    )
    assert (invalid["status"], invalid["requests"], invalid["clients"]) == ("422", "1", "1")


def ask(target: Target, query: str) -> list[dict[str, str]]:
    logs, now = target.client("logs"), int(time.time())
    started = logs.start_query(
        logGroupNames=["cruddur"], startTime=now - 300, endTime=now + 300, queryString=query
    )
    answer = wait_for(
        "the query",
        lambda: logs.get_query_results(queryId=started["queryId"]),
        until=lambda found: found["status"] == "Complete",
        seconds=60,
    )
    return [{each["field"]: each["value"] for each in row} for row in answer["results"]]


def saved_query(target: Target, name: str) -> str:
    saved = target.client("logs").describe_query_definitions(queryDefinitionNamePrefix=name)
    [found] = saved["queryDefinitions"]
    return str(found["queryString"])


def test_the_logs_of_a_trace_are_found_by_its_id(target: Target) -> None:
    # given logs of two traces
    provision(target)
    write(target, [by_collector(200, 0.1), by_collector(500, 0.1) | {"trace_id": "f" * 32}])
    # when the saved query is asked with the id that X-Ray shows, its dashes and version taken out
    shown = f"1-{TRACE_ID[:8]}-{TRACE_ID[8:]}"
    query = saved_query(target, "cruddur/logs of one trace").replace(
        "0" * 32, shown[2:].replace("-", "")
    )
    # then it answers that trace's records alone
    assert [row["body"] for row in ask(target, query)] == ["GET /api/activities/home 200"]


def test_errors_lead_to_their_traces(target: Target) -> None:
    # given two errors of one trace
    provision(target)
    failed = by_collector(500, 0.1) | {"severity_text": "ERROR"}
    write(target, [failed, failed, by_collector(200, 0.1)])
    # when the saved query is asked, then it says which, as X-Ray's console takes it
    [row] = ask(target, saved_query(target, "cruddur/traces with errors"))
    assert row["xray_trace_id"] == f"1-{TRACE_ID[:8]}-{TRACE_ID[8:]}"
    assert row["errors"] == "2"


def test_a_stack_that_aws_cloudformation_made_is_gone_on_with(target: Target) -> None:
    # given a stack that `aws cloudformation deploy` made of the template, with the policies
    target.client("cloudformation").create_stack(
        StackName=STACK,
        TemplateBody=Template.read(ROOT).text,
        Parameters=[{"ParameterKey": "BurstDenied", "ParameterValue": "7"}],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    # then `make provision` finds nothing to do, and keeps what was chosen then
    assert proposed(target) is None
    # and a new name in the config changes the rest alone
    changes = proposed(target, ServiceName="shop")
    assert changes is not None
    assert {one.action for one in changes.changes} == {"Modify"}
    execute(target, changes)
    [alarm] = target.client("cloudwatch").describe_alarms(AlarmNames=["cruddur-denied-burst"])[
        "MetricAlarms"
    ]
    assert alarm["Threshold"] == 7
