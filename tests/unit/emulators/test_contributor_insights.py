"""Contributor Insights: who contributes most, and rules that AWS would not take."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulators.aws.vendor import AwsError
from emulators.cloudwatch.contributor_insights import METRICS, Event, contributors, metric, parse
from tests.unit import alarm_clock

SECOND = 1000


def definition(
    groups: tuple[str, ...] = ("g",), aggregate: str = "Count", **contribution: Any
) -> dict[str, Any]:
    return {
        "Schema": {"Name": "CloudWatchLogRule", "Version": 1},
        "LogGroupNames": list(groups),
        "LogFormat": "JSON",
        "Contribution": {"Keys": ["$.a.client"], **contribution},
        "AggregateOn": aggregate,
    }


def event(client: str | None, at: int = 0, group: str = "g", **more: Any) -> Event:
    inner = more if client is None else {"client": client, **more}
    return (group, "s", at, json.dumps({"a": inner}))


def counted(rule: dict[str, Any], *events: Event) -> dict[str, float]:
    found = contributors(parse(json.dumps(rule)), events, 0, SECOND)
    return {"/".join(key): value for key, value in found.items()}


def test_contributors_are_counted_in_their_groups_and_their_time() -> None:
    assert counted(
        definition(groups=("g", "h*")),
        event("x"),
        event("x", at=SECOND - 1),
        event("y", group="h2"),
        event("x", at=SECOND),
        event("x", group="g2"),
        event(None),
        ("g", "s", 0, "no JSON"),
    ) == {"x": 2, "y": 1}


def test_several_keys_are_one_contributor_and_a_sum_adds_up() -> None:
    rule = definition(aggregate="Sum", ValueOf="$.a.bytes", Keys=["$.a.client", "$.a.n[0]"])
    found = counted(
        rule,
        event("x", bytes=2, n=["p"]),
        event("x", bytes=3, n=["p"]),
        event("x", bytes=9, n=["q"]),
        event("x", bytes="9", n=["q"]),
    )
    assert found == {"x/p": 5, "x/q": 9}


@pytest.mark.parametrize(
    ("filter_", "passes"),
    [
        ({"Match": "$.a.kind", "In": ["p", "q"]}, ["p"]),
        ({"Match": "$.a.kind", "NotIn": ["p"]}, ["other"]),
        ({"Match": "$.a.kind", "StartsWith": ["ot"]}, ["other"]),
        ({"Match": "$.a.status", "EqualTo": 404}, ["p"]),
        ({"Match": "$.a.status", "NotEqualTo": 404}, ["other"]),
        ({"Match": "$.a.status", "GreaterThan": 404}, ["other"]),
        ({"Match": "$.a.status", "LessThan": 500}, ["p"]),
        ({"Match": "$.a.extra", "IsPresent": True}, ["other"]),
        ({"Match": "$.a.extra", "IsPresent": False}, ["p"]),
    ],
)
def test_a_filter_lets_through_what_it_matches(filter_: dict[str, Any], passes: list[str]) -> None:
    events = (event("p", kind="p", status=404), event("other", kind="other", status=500, extra=1))
    assert list(counted(definition(Filters=[filter_]), *events)) == passes


def test_a_rules_metrics_are_worked_out_for_each_period() -> None:
    rule = parse(json.dumps(definition()))
    events = [event("x", at) for at in (0, 1, 2)] + [event("y", 3)]
    windows = [(0, SECOND), (SECOND, 2 * SECOND)]
    assert {name: metric(rule, name, events, windows) for name in METRICS} == {
        "UniqueContributors": [2, None],
        "MaxContributorValue": [3, None],
        "SampleCount": [4, None],
        "Sum": [4, None],
        "Minimum": [1, None],
        "Maximum": [3, None],
        "Average": [2, None],
    }


@pytest.mark.parametrize(
    "wrong",
    [
        definition(Keys=[]),
        definition(Keys=["$.a"] * 5),
        definition(Keys=["$.a.['client.address']"]),
        definition(Keys=["$.a['x']"]),
        definition(Keys=["$"]),
        definition(Keys=["a.client"]),
        definition(Filters=[{"Match": "$.a", "In": ["x"]}] * 5),
        definition(Filters=[{"Match": "$.a", "In": []}]),
        definition(Filters=[{"Match": "$.a", "In": ["x"], "NotIn": ["y"]}]),
        definition(Filters=[{"Match": "$.a", "GreaterThan": "1"}]),
        definition(Filters=[{"Match": "$.a", "Matches": "x"}]),
        definition(aggregate="Sum"),
        definition(aggregate="Average"),
        definition(ValueOf="$.a.bytes"),
        definition(groups=()),
        definition() | {"LogFormat": "CLF"},
        definition() | {"Schema": {"Name": "CloudWatchLogRule", "Version": 2}},
        definition() | {"More": 1},
        {},
        [],
    ],
)
def test_a_rule_that_aws_would_not_take_is_refused(wrong: Any) -> None:
    with pytest.raises(AwsError, match="Contributor Insights"):
        parse(json.dumps(wrong))


def test_an_alarm_follows_the_biggest_contributor(
    aws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = alarm_clock.stop(monkeypatch)
    cloudwatch, logs = aws("cloudwatch"), aws("logs")
    name = f"clients-{secrets.token_hex(4)}"
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    # given a rule over a log group, and an alarm at more than 4 of one contributor in an hour
    rule = json.dumps(definition(groups=(name,)))
    cloudwatch.put_insight_rule(RuleName=name, RuleState="ENABLED", RuleDefinition=rule)
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        ComparisonOperator="GreaterThanThreshold",
        Threshold=4,
        EvaluationPeriods=1,
        TreatMissingData="notBreaching",
        Metrics=[
            {
                "Id": "most",
                "Expression": f"INSIGHT_RULE_METRIC('{name}', 'MaxContributorValue')",
                "Period": 3600,
                "ReturnData": True,
            }
        ],
    )

    def state() -> str:
        [found] = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return str(found["StateValue"])

    def write(*clients: str) -> None:
        at = int(now.timestamp() * 1000)
        events = [{"timestamp": at, "message": event(client)[3]} for client in clients]
        logs.put_log_events(logGroupName=name, logStreamName="s", logEvents=events)

    assert state() == "OK"
    # when three do 4 each, then it is quiet
    write(*["x", "y", "z"] * 4)
    assert state() == "OK"
    # when one of them goes on, then it is not, and the report names it
    write("y")
    assert state() == "ALARM"
    report = cloudwatch.get_insight_rule_report(
        RuleName=name,
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=3600,
        MaxContributorCount=1,
    )
    assert [one["Keys"] for one in report["Contributors"]] == [["y"]]
    assert (report["AggregateValue"], report["ApproximateUniqueCount"]) == (13, 3)
    # and a rule that is switched off counts nothing
    cloudwatch.disable_insight_rules(RuleNames=[name])
    assert state() == "OK"


def test_a_rule_is_checked_when_it_is_put_and_known_when_it_is_asked_for(
    aws: Callable[..., Any],
) -> None:
    cloudwatch = aws("cloudwatch")
    with pytest.raises(ClientError, match=r"Contributor Insights rule: Contribution\.Keys\.0"):
        cloudwatch.put_insight_rule(
            RuleName="x", RuleDefinition=json.dumps(definition(Keys=["$.a['b.c']"]))
        )
    now = datetime.now(UTC)
    with pytest.raises(ClientError, match="does not exist"):
        cloudwatch.get_insight_rule_report(RuleName="nobody", StartTime=now, EndTime=now, Period=60)


def test_an_alarm_on_a_rule_that_is_not_there_says_so(aws: Callable[..., Any]) -> None:
    cloudwatch = aws("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="on-nothing",
        ComparisonOperator="GreaterThanThreshold",
        Threshold=4,
        EvaluationPeriods=1,
        Metrics=[{"Id": "x", "Expression": 'INSIGHT_RULE_METRIC("none", "Sum")', "Period": 60}],
    )
    [found] = cloudwatch.describe_alarms(AlarmNames=["on-nothing"])["MetricAlarms"]
    assert found["StateValue"] == "INSUFFICIENT_DATA"
    assert "no rule 'none'" in found["StateReason"]
