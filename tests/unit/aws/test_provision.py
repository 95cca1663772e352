"""`make provision` against an account that the emulators and a fake X-Ray play."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emulators import inprocess
from emulators.aws.settings import Settings
from emulators.client import Client
from stack.errors import StackError
from stack.provision.account import Target, account_of
from stack.provision.changes import Change, Difference, apply, plan_changes
from stack.provision.desired import (
    Desired,
    check_service_names,
    load_desired,
    named_services,
    service_names,
)
from tests.unit.aws import fake_xray

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def xray() -> Iterator[fake_xray.FakeXRay]:
    with fake_xray.running() as fake:
        yield fake


@pytest.fixture(scope="module")
def played() -> Iterator[Client]:
    with inprocess.running() as emulators:
        yield emulators


@pytest.fixture
def target(xray: fake_xray.FakeXRay, played: Client, monkeypatch: pytest.MonkeyPatch) -> Target:
    # A laptop's own profile has no part in this.
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    played.reset(everything=True)
    aws, keys = played.address("aws"), Settings()
    return Target(
        "eu-west-1",
        {"xray": xray.url, "logs": aws, "cloudwatch": aws, "sts": aws},
        keys.access_key_id,
        keys.secret_access_key,
    )


@pytest.fixture
def desired() -> Desired:
    return load_desired(ROOT, "eu-west-1", "123456789012")


def kinds(changes: list[Change]) -> dict[str, int]:
    names = [change.kind for change in changes]
    return {name: names.count(name) for name in names}


def test_an_empty_account_gets_everything_and_then_nothing_more(
    target: Target, desired: Desired, xray: fake_xray.FakeXRay
) -> None:
    # given an account that has nothing
    changes = plan_changes(target, desired)
    # then all is to be created, and nothing has been yet
    assert kinds(changes) == {
        "X-Ray group": 1,
        "X-Ray sampling rule": 1,
        "log group": 2,
        "metric filter": 8,
        "contributor rule": 1,
        "alarm": 9,
        "dashboard": 1,
        "saved query": 5,
    }
    assert {change.action for change in changes} == {"create"}
    assert list(xray.rules) == ["Default"]
    # when it is applied
    apply(target, changes)
    # then the account has it, and a second run has nothing to do
    assert xray.rules["Cruddur"]["FixedRate"] == 0.1
    assert xray.groups["Cruddur"]["FilterExpression"] == 'service("backend-flask")'
    logs = target.client("logs").describe_log_groups()["logGroups"]
    assert {(each["logGroupName"], each["retentionInDays"]) for each in logs} == {
        ("cruddur", 30),
        ("/metrics/cruddur", 30),
    }
    assert plan_changes(target, desired) == []


def test_a_contributor_rule_that_someone_switched_off_is_switched_on_again(
    target: Target, desired: Desired
) -> None:
    # given
    apply(target, plan_changes(target, desired))
    target.client("cloudwatch").disable_insight_rules(RuleNames=["cruddur-clients"])
    # when
    [change] = plan_changes(target, desired)
    # then
    assert change.differences == (Difference("State", "DISABLED", "ENABLED"),)
    apply(target, [change])
    assert plan_changes(target, desired) == []


def test_a_saved_query_that_someone_edited_is_put_back_and_not_made_twice(
    target: Target, desired: Desired
) -> None:
    # given
    apply(target, plan_changes(target, desired))
    logs = target.client("logs")
    saved = logs.describe_query_definitions(queryDefinitionNamePrefix="cruddur/probes")
    [query] = saved["queryDefinitions"]
    logs.put_query_definition(
        queryDefinitionId=query["queryDefinitionId"],
        name=query["name"],
        queryString="fields @message",
        logGroupNames=query["logGroupNames"],
    )
    # when
    [change] = plan_changes(target, desired)
    apply(target, [change])
    # then
    assert [one.name for one in change.differences] == ["queryString"]
    again = logs.describe_query_definitions(queryDefinitionNamePrefix="cruddur/probes")
    assert again["queryDefinitions"] == saved["queryDefinitions"]


def test_what_someone_changed_by_hand_is_shown_and_put_back(
    target: Target, desired: Desired, xray: fake_xray.FakeXRay
) -> None:
    # given an account where someone turned four knobs
    apply(target, plan_changes(target, desired))
    xray.put_rule(**xray.rules["Cruddur"] | {"FixedRate": 0.5})
    logs, cloudwatch = target.client("logs"), target.client("cloudwatch")
    logs.delete_retention_policy(logGroupName="cruddur")
    alarm = cloudwatch.describe_alarms(AlarmNames=["cruddur-latency-p90"])["MetricAlarms"][0]
    wanted = next(
        each.properties
        for each in desired.resources
        if each.properties.get("AlarmName") == alarm["AlarmName"]
    )
    cloudwatch.put_metric_alarm(**wanted | {"Threshold": 9})
    cloudwatch.put_dashboard(DashboardName="cruddur", DashboardBody='{"widgets": []}')
    # when it is compared
    changes = {change.name: change for change in plan_changes(target, desired)}
    # then each is an update that names what was found and what is wanted
    assert {change.action for change in changes.values()} == {"update"}
    assert changes["Cruddur"].differences == (Difference("FixedRate", 0.5, 0.1),)
    assert changes["cruddur-latency-p90"].differences == (Difference("Threshold", 9.0, 1),)
    found = plan_changes(target, desired)
    assert kinds(found) == {
        "X-Ray sampling rule": 1,
        "log group": 1,
        "alarm": 1,
        "dashboard": 1,
    }
    assert Difference("retentionInDays", None, 30) in found[1].differences
    # and applying them puts it back, without creating the rule again
    apply(target, found)
    assert plan_changes(target, desired) == []
    assert xray.asked.count("/CreateSamplingRule") == 1


def test_what_others_made_in_the_account_is_left_alone(
    target: Target, desired: Desired, xray: fake_xray.FakeXRay
) -> None:
    # given a rule, a log group whose name begins alike and an alarm of someone else
    xray.put_rule(RuleName="theirs", FixedRate=1.0)
    target.client("logs").create_log_group(logGroupName="cruddur-old")
    # when all of ours is applied
    apply(target, plan_changes(target, desired))
    # then theirs is as it was
    assert xray.rules["theirs"]["FixedRate"] == 1.0
    old = target.client("logs").describe_log_groups(logGroupNamePrefix="cruddur-old")["logGroups"]
    assert "retentionInDays" not in old[0]


def test_the_account_is_asked_for_its_number(target: Target) -> None:
    assert account_of(target) == "123456789012"
    assert account_of(replace(target, account="1")) == "1"


def test_secrets_do_not_show_in_the_target() -> None:
    assert "hidden" not in repr(Target("eu-west-1", {}, "id", "hidden", "hidden"))


def test_an_unknown_profile_is_told(desired: Desired) -> None:
    with pytest.raises(StackError, match="no AWS profile 'nobody'"):
        plan_changes(Target("eu-west-1", profile="nobody"), desired)


# --- Names


def test_the_names_are_those_of_the_services(tmp_path: Path) -> None:
    for service, name in (("a", "backend-flask"), ("b", "profiles-flask")):
        (tmp_path / "services" / service).mkdir(parents=True)
        (tmp_path / "services" / service / "otel.env").write_text(
            f"# OTEL_SERVICE_NAME=no\nOTEL_SERVICE_NAME={name}\nOTHER=1\n"
        )
    assert service_names(tmp_path) == {
        "backend-flask": "services/a/otel.env",
        "profiles-flask": "services/b/otel.env",
    }


def with_rule(desired: Desired, name: str) -> Desired:
    return replace(desired, rule=desired.rule.model_copy(update={"service_name": name}))


@pytest.mark.parametrize("name", ["backend-flask", "*", "backend-*", "backend?flask"])
def test_a_rule_for_a_real_service_is_accepted(desired: Desired, name: str) -> None:
    check_service_names(with_rule(desired, name), ["backend-flask", "profiles-flask"])


@pytest.mark.parametrize("name", ["Cruddur", "backend_flask", "frontend-*", "backend-flaskX"])
def test_a_rule_for_no_service_is_refused_before_anything_is_sent(
    desired: Desired, name: str
) -> None:
    with pytest.raises(StackError, match=r"sampling-rule\.json: ServiceName is") as error:
        check_service_names(with_rule(desired, name), ["backend-flask", "profiles-flask"])
    assert "The services are backend-flask, profiles-flask" in str(error.value)
    assert ("did you mean 'backend-flask'?" in str(error.value)) == name.startswith("backend")


def test_a_filter_for_no_service_is_refused(desired: Desired) -> None:
    group = desired.group.model_copy(update={"filter_expression": 'service("backend-flsk")'})
    with pytest.raises(StackError, match=r"group\.json: the filter asks for 'backend-flsk'.*mean"):
        check_service_names(replace(desired, group=group), ["backend-flask"])


def test_no_service_at_all_is_told(desired: Desired) -> None:
    with pytest.raises(StackError, match="OTEL_SERVICE_NAME"):
        check_service_names(desired, [])


def test_each_way_to_name_a_service_in_a_filter_is_found() -> None:
    text = 'service("a") AND service( id(name: "b", type: "x") ) { fault } OR http.url = "c"'
    assert named_services(text) == ["a", "b"]


# --- Bad files


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"FixedRate": 10}, "FixedRate"),
        ({"Priority": 0}, "Priority"),
        ({"FixedRte": 0.1}, "FixedRte"),
        ({"Version": 2}, "Version"),
    ],
)
def test_a_rule_that_x_ray_would_refuse_is_told_with_its_field(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    shutil.copytree(ROOT / "aws", tmp_path / "aws")
    path = tmp_path / "aws/sampling-rule.json"
    rule = json.loads(path.read_text())["SamplingRule"]
    path.write_text(json.dumps({"SamplingRule": rule | change}))
    with pytest.raises(StackError, match=rf"sampling-rule\.json: SamplingRule\.{told}: ") as error:
        load_desired(tmp_path, "eu-west-1", "1")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, text: str | None) -> None:
    shutil.copytree(ROOT / "aws", tmp_path / "aws")
    path = tmp_path / "aws/group.json"
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(StackError, match=r"aws/group\.json") as error:
        load_desired(tmp_path, "eu-west-1", "1")
    assert "\n" not in str(error.value)


# --- An account that does not answer


def test_a_refusal_names_the_right_that_is_missing(
    target: Target, desired: Desired, xray: fake_xray.FakeXRay
) -> None:
    xray.failing = 403
    with pytest.raises(StackError, match="refused get_groups"):
        plan_changes(target, desired)


def test_nobody_at_the_address_is_one_line_and_quick(desired: Desired) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        with pytest.raises(StackError, match="does not answer get_groups") as error:
            plan_changes(Target("eu-west-1", {"xray": url}, "id", "secret"), desired)
    assert url in str(error.value)
    assert "secret" not in str(error.value)


def test_no_credentials_is_one_line(monkeypatch: pytest.MonkeyPatch, desired: Desired) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StackError, match="no AWS credentials"):
        plan_changes(Target("eu-west-1"), desired)
