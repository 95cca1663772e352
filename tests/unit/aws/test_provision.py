"""`make provision` against emulators: real requests, signatures verified."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.stub import Stubber

from emulators import inprocess
from emulators.client import Client
from stack.errors import StackError
from stack.provision.account import Target, account_of
from stack.provision.change_set import STACK, ChangeSet, execute
from stack.provision.template import GROUP_FILE, RULE_FILE, Template, named_services
from stack.settings import ROOT
from tests.unit.aws.played import proposed, provision, target_of


@pytest.fixture(scope="module")
def played() -> Iterator[Client]:
    with inprocess.running() as emulators:
        yield emulators


@pytest.fixture
def target(played: Client, monkeypatch: pytest.MonkeyPatch) -> Target:
    # A laptop's own profile has no part in this.
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    played.reset(everything=True)
    return target_of(played)


def change_set(target: Target, **parameters: Any) -> ChangeSet:
    found = proposed(target, **parameters)
    assert found is not None
    return found


def differences(found: ChangeSet) -> dict[str, tuple[tuple[str, str, str], ...]]:
    return {change.name: change.differences for change in found.changes}


def rule(target: Target) -> dict[str, Any]:
    records = target.client("xray").get_sampling_rules()["SamplingRuleRecords"]
    rules = {one["SamplingRule"]["RuleName"]: one["SamplingRule"] for one in records}
    return dict(rules["Cruddur"])


def test_an_empty_account_gets_everything_and_then_nothing_more(target: Target) -> None:
    # given an account that has nothing
    found = change_set(target)
    # then all is to be created, and nothing has been yet
    kinds = [change.kind for change in found.changes]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "XRay::Group": 1,
        "XRay::SamplingRule": 1,
        "Logs::LogGroup": 2,
        "Logs::MetricFilter": 8,
        "CloudWatch::InsightRule": 1,
        "CloudWatch::Alarm": 9,
        "CloudWatch::Dashboard": 1,
        "Logs::QueryDefinition": 5,
    }
    assert {change.action for change in found.changes} == {"Add"}
    assert target.client("xray").get_groups()["Groups"] == []
    # when it is executed
    execute(target, found)
    # then the account has it, and a second run has nothing to do
    assert rule(target)["FixedRate"] == 0.1
    [group] = target.client("xray").get_groups()["Groups"]
    assert group["FilterExpression"] == 'service("backend-flask")'
    logs = target.client("logs").describe_log_groups()["logGroups"]
    assert {(each["logGroupName"], each["retentionInDays"]) for each in logs} == {
        ("cruddur", 30),
        ("/metrics/cruddur", 30),
    }
    assert proposed(target) is None


def test_what_someone_changed_by_hand_is_shown_and_put_back(target: Target) -> None:
    # given an account where someone turned some knobs
    provision(target)
    logs, cloudwatch = target.client("logs"), target.client("cloudwatch")
    target.client("xray").update_sampling_rule(
        SamplingRuleUpdate={"RuleName": "Cruddur", "FixedRate": 0.5}
    )
    logs.delete_retention_policy(logGroupName="cruddur")
    [query] = logs.describe_query_definitions(queryDefinitionNamePrefix="cruddur/probes")[
        "queryDefinitions"
    ]
    logs.put_query_definition(**{**query, "queryString": "fields @message"})
    cloudwatch.disable_insight_rules(RuleNames=["cruddur-clients"])
    cloudwatch.put_dashboard(DashboardName="cruddur", DashboardBody='{"widgets": []}')
    cloudwatch.delete_alarms(AlarmNames=["cruddur-probes"])
    # when
    found = change_set(target)
    # then each is named, with what was found and what is wanted
    shown = differences(found)
    assert shown["SamplingRule"] == (("SamplingRule/FixedRate", "0.5", "0.1"),)
    assert shown["Logs"] == (("RetentionInDays", "", "30"),)
    assert shown["ClientsRule"] == (("RuleState", "DISABLED", "ENABLED"),)
    assert {*shown} == {
        "SamplingRule", "Logs", "ClientsRule", "Probes", "Dashboard", "ProbesAlarm"
    }  # fmt: skip
    # and put back, the query not made twice
    execute(target, found)
    assert proposed(target) is None
    again = logs.describe_query_definitions(queryDefinitionNamePrefix="cruddur/probes")
    assert again["queryDefinitions"] == [query]


def test_what_was_made_by_hand_is_taken_over_and_then_put_right(target: Target) -> None:
    # given a group and a rule that AWS's command line made of the files in aws/, another reservoir,
    # an alarm of the same name, a saved query, and a log group that the collector made
    xray, logs = target.client("xray"), target.client("logs")
    xray.create_group(**json.loads((ROOT / GROUP_FILE).read_text()))
    xray.create_sampling_rule(**json.loads((ROOT / RULE_FILE).read_text()))
    xray.update_sampling_rule(SamplingRuleUpdate={"RuleName": "Cruddur", "ReservoirSize": 9})
    logs.create_log_group(logGroupName="cruddur")
    logs.create_log_stream(logGroupName="cruddur", logStreamName="history")
    logs.put_query_definition(name="cruddur/probes", queryString="fields @message")
    target.client("cloudwatch").put_metric_alarm(
        AlarmName="cruddur-probes",
        MetricName="Probes",
        Namespace="cruddur",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    # when
    found = change_set(target)
    # then they come into the stack first, as they are
    assert found.kind == "IMPORT"
    taken = {"Group", "SamplingRule", "Logs", "Probes", "ProbesAlarm"}
    assert {change.name for change in found.changes} == taken
    execute(target, found)
    assert rule(target)["ReservoirSize"] == 9
    # and then the rest, with what differs in them
    rest = change_set(target)
    assert rest.kind == "UPDATE"
    assert differences(rest)["SamplingRule"] == (("SamplingRule/ReservoirSize", "9", "5"),)
    execute(target, rest)
    assert proposed(target) is None
    # nothing was made a second time or lost
    assert len(logs.describe_query_definitions()["queryDefinitions"]) == 5
    streams = logs.describe_log_streams(logGroupName="cruddur")["logStreams"]
    assert [one["logStreamName"] for one in streams] == ["history"]


@pytest.mark.parametrize("there", [[], ["cruddur"]])
def test_a_log_group_that_the_collector_makes_meanwhile_is_taken_over_by_the_next_run(
    target: Target, there: list[str]
) -> None:
    # given a change set of an account that has no group for metrics
    logs = target.client("logs")
    for name in there:
        logs.create_log_group(logGroupName=name)
        execute(target, change_set(target))
    found = change_set(target)
    # when the collector makes it before the change set is executed
    logs.create_log_group(logGroupName="/metrics/cruddur")
    # then that is said in one line, and undone
    with pytest.raises(StackError, match=r"MetricLogs: .*/metrics/cruddur already exists") as error:
        execute(target, found)
    assert "\n" not in str(error.value)
    assert target.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    # and the next run goes on from there
    provision(target)
    groups = logs.describe_log_groups()["logGroups"]
    assert [one["retentionInDays"] for one in groups] == [30, 30]


def test_what_others_made_in_the_account_is_left_alone(target: Target) -> None:
    # given a log group whose name begins alike, with a filter that has one of our names
    logs = target.client("logs")
    logs.create_log_group(logGroupName="cruddur-old")
    metric = {"metricName": "Old", "metricNamespace": "old", "metricValue": "1"}
    logs.put_metric_filter(
        logGroupName="cruddur-old",
        filterName="cruddur-errors",
        filterPattern="",
        metricTransformations=[metric],
    )
    # when all of ours is made
    provision(target)
    # then theirs is as it was
    [old] = logs.describe_log_groups(logGroupNamePrefix="cruddur-old")["logGroups"]
    assert "retentionInDays" not in old
    filters = logs.describe_metric_filters(logGroupName="cruddur-old")["metricFilters"]
    assert [one["metricTransformations"] for one in filters] == [[metric]]


def test_another_name_for_the_logs_is_shown_as_what_it_makes_anew(target: Target) -> None:
    provision(target)
    found = change_set(target, LogGroupName="shop")
    assert {change.name for change in found.changes if change.replaced} >= {"Logs", "ErrorsFilter"}
    execute(target, found)
    # the old logs stay
    groups = target.client("logs").describe_log_groups()["logGroups"]
    assert {one["logGroupName"] for one in groups} == {"cruddur", "shop", "/metrics/cruddur"}
    assert proposed(target, LogGroupName="shop") is None


def test_the_account_is_asked_for_its_number(target: Target) -> None:
    assert account_of(target) == "123456789012"


def test_secrets_do_not_show_in_the_target() -> None:
    assert "hidden" not in repr(Target("eu-west-1", {}, "id", "hidden", "hidden"))


# --- What stands in the way


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("UPDATE_IN_PROGRESS", "being changed"),
        ("ROLLBACK_COMPLETE", "aws cloudformation delete-stack"),
        ("UPDATE_ROLLBACK_FAILED", "aws cloudformation continue-update-rollback"),
    ],
)
def test_a_stack_that_takes_no_change_is_told_with_what_to_do(
    target: Target, status: str, said: str
) -> None:
    stack = {"StackName": STACK, "StackStatus": status, "CreationTime": "2026-11-30T00:00:00Z"}
    with Stubber(target.client("cloudformation")) as stub:
        stub.add_response("describe_stacks", {"Stacks": [stack]})
        with pytest.raises(StackError, match=said) as error:
            proposed(target)
    assert status in str(error.value)
    assert "\n" not in str(error.value)


def test_a_right_that_is_missing_is_named(target: Target) -> None:
    said = "User: arn:aws:iam::1:user/dev is not\nauthorized to perform this"
    with Stubber(target.client("cloudformation")) as stub:
        stub.add_client_error("describe_stacks", "ValidationError", "Stack does not exist")
        stub.add_client_error("create_change_set", "AccessDenied", said, 403)
        with pytest.raises(StackError, match="allow cloudformation:CreateChangeSet") as error:
            proposed(target)
    assert "\n" not in str(error.value)


def test_a_change_set_that_fails_is_told_with_its_reason(target: Target) -> None:
    # given CloudFormation's answers where a look before the deployment found something wrong
    arn, when = "arn:aws:cloudformation:eu-west-1:1:changeSet/x/1", "2026-11-30T00:00:00Z"
    reason = "The following validation failed:\n[AWS::EarlyValidation::ResourceExistenceCheck]."
    with Stubber(target.client("cloudformation")) as stub:
        stub.add_client_error("describe_stacks", "ValidationError", "Stack does not exist")
        stub.add_response("create_change_set", {"Id": arn, "StackId": "s"})
        failed = {"Status": "FAILED", "StatusReason": reason, "CreationTime": when}
        stub.add_response("describe_change_set", failed)
        with pytest.raises(StackError, match=r"ResourceExistenceCheck.*describe-events") as error:
            proposed(target)
    assert "\n" not in str(error.value)


def test_a_template_that_is_none_is_told() -> None:
    for text in ("Resources: [", "a: b", ""):
        with pytest.raises(StackError, match=r"aws/telemetry\.yaml is no CloudFormation") as error:
            Template(text)
        assert "\n" not in str(error.value)


def test_a_value_that_cloudformation_refuses_is_one_line(target: Target) -> None:
    with pytest.raises(StackError, match="refused CreateChangeSet: ValidationError") as error:
        proposed(target, ServiceNaem="shop")
    assert "ServiceNaem" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_profile_is_told() -> None:
    with pytest.raises(StackError, match="no AWS profile 'nobody'"):
        proposed(Target("eu-west-1", profile="nobody"))


def test_a_wrong_secret_is_told_in_one_line(target: Target) -> None:
    with pytest.raises(StackError, match="check the access key and its secret") as error:
        proposed(replace(target, secret_access_key="wrong"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("vendor", "mode"), [("xray", "429"), ("xray", "403"), ("aws", "500")])
def test_an_account_that_fails_is_told_in_one_line(
    played: Client, target: Target, vendor: str, mode: str
) -> None:
    played.break_(vendor, mode)  # type: ignore[arg-type]
    try:
        with pytest.raises(StackError, match=r"refused|does not answer") as error:
            proposed(target)
    finally:
        played.reset(everything=True)
    assert "\n" not in str(error.value)


def test_nobody_at_the_address_is_one_line_and_quick() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        nobody = Target("eu-west-1", {"cloudformation": url}, "id", "secret")
        with pytest.raises(StackError, match="does not answer") as error:
            proposed(nobody)
    assert url in str(error.value)
    assert "secret" not in str(error.value)


def test_no_credentials_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StackError, match="no AWS credentials"):
        proposed(Target("eu-west-1"))


# --- Names


def test_each_way_to_name_a_service_in_a_filter_is_found() -> None:
    text = 'service("a") AND service( id(name: "b", type: "x") ) { fault } OR http.url = "c"'
    assert named_services(text) == ["a", "b"]
