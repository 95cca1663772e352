"""aws/: one set of values, accepted by cfn-lint, and no right more than needed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint import api as cfnlint
from otel_stack_distro.flask.access_log import EVENTS

from emulators import inprocess
from stack.collector_config.text import CONFIG_FILE, env_defaults
from stack.errors import StackError
from stack.provision.account import Target
from stack.provision.template import (
    GROUP_FILE,
    RULE_FILE,
    TEMPLATE_FILE,
    Template,
    template_parameters,
)
from stack.telemetry import LOST
from tests.unit.aws.played import planned, target_of

ROOT = Path(__file__).resolve().parents[3]
TEMPLATE = ROOT / TEMPLATE_FILE

Shape = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def account() -> Iterator[None]:
    with inprocess.running() as emulators:
        emulators.reset(everything=True)
        _accounts.append(target_of(emulators))
        yield
    _accounts.clear()
    _planned.cache_clear()


_accounts: list[Target] = []


@cache
def _planned(**parameters: Any) -> dict[str, tuple[str, Shape]]:
    return planned(_accounts[0], **parameters)


def resources(**parameters: Any) -> dict[str, Shape]:
    """The properties that CloudFormation would give each resource, by logical id."""
    return {key: properties for key, (_, properties) in _planned(**parameters).items()}


def of_kind(kind: str, **parameters: Any) -> list[Shape]:
    return [properties for each, properties in _planned(**parameters).values() if each == kind]


def lint(text: str) -> list[str]:
    return [str(match) for match in cfnlint.lint(text)]


def test_cfn_lint_has_nothing_to_say() -> None:
    assert lint(TEMPLATE.read_text()) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("RetentionInDays:", "RetentionDays:"), ("FixedRate: 0.1", "FixedRate: 10")],
)
def test_cfn_lint_would_see_a_mistake(right: str, wrong: str) -> None:
    # given a template with one misspelled property, or one value out of range
    text = TEMPLATE.read_text()
    assert right in text
    # when it is linted, then it is not clean
    assert lint(text.replace(right, wrong))


def test_the_files_for_the_command_line_say_what_the_template_says() -> None:
    # given the JSON that `aws xray create-… --cli-input-json` takes
    group = json.loads((ROOT / GROUP_FILE).read_text())
    rule = json.loads((ROOT / RULE_FILE).read_text())
    # then CloudFormation would make the same
    assert resources()["Group"] == group
    assert resources()["SamplingRule"] == rule


def test_group_and_rule_are_the_ones_of_cruddur() -> None:
    rule = json.loads((ROOT / RULE_FILE).read_text())["SamplingRule"]
    assert (rule["FixedRate"], rule["ReservoirSize"], rule["Priority"]) == (0.1, 5, 9000)
    assert rule["ServiceName"] == "backend-flask"
    group = json.loads((ROOT / GROUP_FILE).read_text())
    assert group == {"GroupName": "Cruddur", "FilterExpression": 'service("backend-flask")'}


def test_another_service_name_reaches_the_rule_the_group_and_every_filter() -> None:
    # when the template is used for a service of another name
    named = resources(
        **template_parameters(env_defaults((ROOT / CONFIG_FILE).read_text()), "otlp", ["api"])
    )
    # then nothing is left of the first one
    assert named["Group"]["FilterExpression"] == 'service("api")'
    assert "backend-flask" not in str(named)


def test_every_log_group_forgets_and_survives_the_stack() -> None:
    assert {each["LogGroupName"] for each in of_kind("AWS::Logs::LogGroup")} == {
        "cruddur",
        "/metrics/cruddur",
    }
    assert all(each["RetentionInDays"] for each in of_kind("AWS::Logs::LogGroup"))
    assert TEMPLATE.read_text().count("DeletionPolicy: Retain") == 2


def test_the_collector_writes_where_the_template_looks() -> None:
    # given the names that the collector's config has by default
    config = (ROOT / CONFIG_FILE).read_text()
    # when the template is used with them
    named = resources(**template_parameters(env_defaults(config), "otlp", ["backend-flask"]))
    # then nothing differs from the template's own defaults
    assert named == resources()
    # and a group that an exporter made would be kept as long
    retention = {int(days) for days in re.findall(r"log_retention: (\d+)", config)}
    assert retention == {each["RetentionInDays"] for each in of_kind("AWS::Logs::LogGroup")}


def test_the_alarms_watch_a_service_that_was_renamed() -> None:
    # when
    parameters = template_parameters(
        env_defaults((ROOT / CONFIG_FILE).read_text()), "otlp", ["shop"]
    )
    # then
    filters = of_kind("AWS::Logs::MetricFilter", **parameters)
    patterns = [each["FilterPattern"] for each in filters]
    assert len(patterns) >= 5
    assert not [pattern for pattern in patterns if "backend-flask" in pattern]
    assert [pattern for pattern in patterns if '"shop"' in pattern]


def test_each_service_that_people_call_has_a_rule_and_is_in_the_group_and_every_filter() -> None:
    # given
    services = ["shop", "orders", "mail"]
    config = env_defaults((ROOT / CONFIG_FILE).read_text())
    # when
    made = planned(
        _accounts[0],
        Template.read(ROOT).for_services(services),
        **template_parameters(config, "otlp", services),
    )
    # then
    kinds = [(kind, properties) for kind, properties in made.values()]
    rules = [each["SamplingRule"] for kind, each in kinds if kind == "AWS::XRay::SamplingRule"]
    assert {rule["ServiceName"]: rule["RuleName"] for rule in rules} == {
        "shop": "Cruddur",
        "orders": "Cruddur-2",
        "mail": "Cruddur-3",
    }
    assert [each["FilterExpression"] for kind, each in kinds if kind == "AWS::XRay::Group"] == [
        'service("shop") OR service("orders") OR service("mail")'
    ]
    for kind, each in kinds:
        if kind == "AWS::Logs::MetricFilter":
            assert all(f'"{one}"' in each["FilterPattern"] for one in services)


def test_more_services_than_a_filter_takes_are_refused() -> None:
    config = env_defaults((ROOT / CONFIG_FILE).read_text())
    fit = [f"service-{number}" for number in range(7)]
    # given as many as fit, the longest pattern of the filters is one that CloudWatch takes
    parameters = template_parameters(config, "otlp", fit)
    filters = of_kind("AWS::Logs::MetricFilter", **parameters)
    assert max(len(each["FilterPattern"]) for each in filters) <= 1024
    # then
    with pytest.raises(StackError, match="no room for 30 services by name"):
        template_parameters(config, "otlp", [f"service-{number}" for number in range(30)])
    with pytest.raises(StackError, match="no service that people call"):
        template_parameters(config, "otlp", [])


def test_a_config_that_sends_nothing_to_cloudwatch_is_told() -> None:
    with pytest.raises(StackError, match=r"does not say .*CLOUDWATCH_LOG_GROUP"):
        template_parameters({"OTLP_HTTP_PORT": "4318"}, "otlp", ["shop-api"])


def test_every_metric_that_is_looked_at_is_measured() -> None:
    # given the metrics that the filters make, and what the collector adds up over all services
    made = {
        each["MetricName"]
        for filter_ in of_kind("AWS::Logs::MetricFilter")
        for each in filter_["MetricTransformations"]
    } | of_all_services()
    # when alarms and dashboard ask for metrics of our namespace
    alarms = of_kind("AWS::CloudWatch::Alarm")
    asked = {each["MetricName"] for each in alarms if each.get("Namespace") == "cruddur"}
    for metric in [m for each in alarms for m in each.get("Metrics", []) if "MetricStat" in m]:
        if metric["MetricStat"]["Metric"]["Namespace"] == "cruddur":
            asked.add(metric["MetricStat"]["Metric"]["MetricName"])
    for widget in json.loads(of_kind("AWS::CloudWatch::Dashboard")[0]["DashboardBody"])["widgets"]:
        for metric in widget["properties"].get("metrics", []):
            if metric[0] == "cruddur":
                asked.add(metric[1])
    # then each of them exists, and each that exists is looked at
    assert asked == made


def of_all_services() -> set[str]:
    """The metrics that the collector gives CloudWatch without a dimension."""
    exporter = yaml.safe_load((ROOT / CONFIG_FILE).read_text())["exporters"]["awsemf"]
    return {
        # A selector is a regular expression, in which the collector reads $$ as one $.
        selector.removeprefix("^").removesuffix("$$").replace("\\", "")
        for declared in exporter["metric_declarations"]
        if [] in declared["dimensions"]
        for selector in declared["metric_name_selectors"]
    }


def test_the_alarm_on_what_services_lost_asks_for_what_they_count() -> None:
    alarm = resources()["LostTelemetryAlarm"]
    assert (alarm["MetricName"], alarm.get("Dimensions")) == (LOST, None)
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Sum", 0)
    # a healthy service has no such metric
    assert alarm["TreatMissingData"] == "notBreaching"
    assert f"| `{alarm['AlarmName']}` |" in (ROOT / "docs/aws.md").read_text()


def test_the_alarms_of_the_dashboard_exist() -> None:
    named = {each["AlarmName"] for each in of_kind("AWS::CloudWatch::Alarm")}
    body = of_kind("AWS::CloudWatch::Dashboard")[0]["DashboardBody"]
    assert set(re.findall(r":alarm:([\w-]+)", body)) == named


def test_alarms_tell_the_topic_only_when_there_is_one() -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:oncall"
    assert all("AlarmActions" not in each for each in of_kind("AWS::CloudWatch::Alarm"))
    assert all(
        each["AlarmActions"] == [topic]
        for each in of_kind("AWS::CloudWatch::Alarm", AlarmTopicArn=topic)
    )


SECURITY = {
    "cruddur-denied-burst": ("Denied", "BurstDenied"),
    "cruddur-not-found-burst": ("NotFound", "BurstNotFound"),
    "cruddur-invalid-burst": ("Invalid", "BurstInvalid"),
    "cruddur-probes": ("Probes", "BurstProbes"),
    "cruddur-one-client": (None, "BurstOneClient"),
}


@pytest.mark.parametrize("name", SECURITY)
def test_a_security_alarm_is_told_when_and_how_much_by_parameters(name: str) -> None:
    # when
    metric, parameter = SECURITY[name]
    alarms = of_kind("AWS::CloudWatch::Alarm", BurstSeconds=900, **{parameter: 4711})
    # then
    [alarm] = [each for each in alarms if each["AlarmName"] == name]
    period = alarm.get("Period") or alarm["Metrics"][0]["Period"]
    assert (alarm["Threshold"], alarm.get("MetricName"), period) == (4711, metric, 900)
    # a service that nobody asks anything is not under attack
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"


@pytest.mark.parametrize(("route", "record"), [("otlp", "$.attributes"), ("watchtower", "$")])
def test_the_alarm_by_client_asks_the_rule_that_reads_what_the_service_writes(
    route: str, record: str
) -> None:
    # when
    named = resources(LogRoute=route)
    rule = named["ClientsRule"]
    contribution = json.loads(rule["RuleBody"])["Contribution"]
    # then the alarm's rule is there, and reads where the route puts the record's fields
    [query] = named["OneClientAlarm"]["Metrics"]
    assert (
        query["Expression"] == f'INSIGHT_RULE_METRIC("{rule["RuleName"]}", "MaxContributorValue")'
    )
    assert contribution["Keys"] == [f"{record}.security_client"]
    [filter_] = contribution["Filters"]
    assert filter_["Match"] == f"{record}.security_event"
    # and counts every kind of event that the service has
    assert set(filter_["In"]) == {"probe", *EVENTS.values()}


@pytest.mark.parametrize("name", SECURITY)
def test_the_docs_tell_when_a_security_alarm_is_raised(name: str) -> None:
    [alarm] = [one for one in of_kind("AWS::CloudWatch::Alarm") if one["AlarmName"] == name]
    text = (ROOT / "docs/aws.md").read_text()
    assert f"| `{name}` | more than {alarm['Threshold']} " in text


def test_every_saved_query_that_an_alarm_sends_people_to_exists() -> None:
    queries = {each["Name"] for each in of_kind("AWS::Logs::QueryDefinition")}
    told = " ".join(each["AlarmDescription"] for each in of_kind("AWS::CloudWatch::Alarm"))
    named = set(re.findall(r"cruddur/[a-z ]+(?=[,.;])", told))
    assert named == queries - {"cruddur/logs of one trace", "cruddur/traces with errors"}


def test_transaction_search_is_an_option() -> None:
    assert of_kind("AWS::XRay::TransactionSearchConfig") == []
    assert of_kind("AWS::XRay::TransactionSearchConfig", TransactionSearch="enabled") == [
        {"IndexingPercentage": 1}
    ]


def test_the_policies_allow_writing_telemetry_and_nothing_else() -> None:
    statements = [
        statement
        for policy in of_kind("AWS::IAM::ManagedPolicy")
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    actions = {action for statement in statements for action in statement["Action"]}
    assert actions == {
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
        "xray:GetSamplingRules",
        "xray:GetSamplingTargets",
        "xray:GetSamplingStatisticSummaries",
        "logs:CreateLogStream",
        "logs:DescribeLogGroups",
        "logs:PutLogEvents",
    }
    # X-Ray has no narrower resource; the logs have, and are held to it.
    for statement in statements:
        if any(action.startswith("logs:") for action in statement["Action"]):
            assert all("log-group:" in resource for resource in statement["Resource"])
            assert statement["Action"] == ["logs:DescribeLogGroups"] or all(
                ":log-group:*" not in resource for resource in statement["Resource"]
            )


def test_the_saved_query_joins_logs_and_traces_by_the_field_that_the_collector_writes() -> None:
    queries = {each["Name"]: each for each in of_kind("AWS::Logs::QueryDefinition")}
    one = queries["cruddur/logs of one trace"]
    assert one["LogGroupNames"] == ["cruddur"]
    assert re.search(r'filter trace_id = "0{32}"', one["QueryString"])
