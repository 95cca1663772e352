"""Who the keys belong to, what they may do, and whether rule, group and log groups fit."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from emulators.client import Client
from stack.doctor.setup import Setup
from stack.finding import About
from stack.vendors.aws.checks import (
    check_cloudwatch,
    check_identity,
    check_xray,
    judge_groups,
    judge_rules,
    log_groups,
    missing_action,
)
from tests.unit.doctor.playing import Server, only, text, with_vendor

NAMES = ["backend-flask", "profiles-flask"]
CANARY = "c4n4ry/" * 5 + "abcde"

WITH_LOGS = """\
receivers:
  otlp: {{protocols: {{http: {{}}}}}}
exporters:
  awscloudwatchlogs:
    log_group_name: {group}
    log_stream_name: one
service:
  pipelines:
    logs: {{receivers: [otlp], exporters: [awscloudwatchlogs]}}
"""


def client(setup: Setup, service: str) -> Any:
    vendor = setup.vendor("xray" if service == "xray" else "cloudwatch")
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=vendor.url,
        region_name=vendor.collector["AWS_REGION"],
        aws_access_key_id=vendor.collector["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=vendor.collector["AWS_SECRET_ACCESS_KEY"],
    )


def rule(name: str, service: str, priority: int = 9000) -> dict[str, Any]:
    return {
        "RuleName": name,
        "ResourceARN": "*",
        "Priority": priority,
        "FixedRate": 0.1,
        "ReservoirSize": 5,
        "ServiceName": service,
        "ServiceType": "*",
        "Host": "*",
        "HTTPMethod": "*",
        "URLPath": "*",
        "Version": 1,
    }


@pytest.fixture
def refused(make: Callable[..., Setup], server: Server) -> Callable[..., Setup]:
    """An AWS that answers every call with one error, as its JSON protocols give it."""

    def setup(name: str, code: str, message: str, status: int = 400) -> Setup:
        server.status, server.body = status, {"__type": code, "message": message}
        server.headers = {"x-amzn-ErrorType": code}
        found = make(up=True)
        keys = {"AWS_SECRET_ACCESS_KEY": CANARY}
        return with_vendor(found, name, url=server.url, keys=keys)

    return setup


def test_the_account_is_named(played: Setup) -> None:
    # when
    finding = only(check_identity(played))
    # then
    assert finding.verdict == "ok"
    assert "123456789012" in finding.what
    assert "eu-north-1" in finding.what


def test_a_key_that_aws_does_not_know(played: Setup) -> None:
    # given
    setup = with_vendor(played, "cloudwatch", keys={"AWS_ACCESS_KEY_ID": "AKIAUNKNOWNUNKNOWN12"})
    # when
    finding = only(check_identity(setup))
    # then
    assert (finding.verdict, "does not know the key" in finding.what) == ("problem", True), finding


def test_a_secret_that_is_not_the_keys(played: Setup) -> None:
    # given
    setup = with_vendor(played, "cloudwatch", keys={"AWS_SECRET_ACCESS_KEY": CANARY})
    # when
    finding = only(check_identity(setup))
    # then
    assert "the secret is not that of the key" in finding.what
    assert CANARY not in str(finding)


def test_a_profile_that_is_nowhere(
    make: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    # given
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    setup = make(aws_telemetry="live", aws_profile="cruddur")
    # when
    finding = only(check_identity(setup))
    # then
    assert finding.verdict == "problem"
    assert "(cruddur) could not be found" in finding.what


def test_a_laptops_own_profile_does_not_matter_to_what_is_played(
    played: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setenv("AWS_PROFILE", "a-profile-that-is-nowhere")
    # then
    assert only(check_identity(played)).verdict == "ok"


def test_live_without_credentials(
    make: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    # given
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    # then
    finding = only(check_identity(make(aws_telemetry="live")))
    assert "there are no AWS credentials" in finding.what


def test_a_missing_permission_is_named_by_its_iam_action(
    refused: Callable[..., Setup],
) -> None:
    # given
    setup = refused(
        "xray",
        "AccessDeniedException",
        "User: arn:aws:iam::1:user/x is not authorized to perform: xray:PutTraceSegments",
        403,
    )
    # when
    findings = list(check_xray(setup))
    # then
    assert [finding.what for finding in findings] == [
        "the keys may not xray:PutTraceSegments",
        "the keys may not xray:PutTraceSegments",
        "the keys may not xray:PutTraceSegments",
    ]


def test_without_words_the_denied_call_names_the_action(refused: Callable[..., Setup]) -> None:
    # given
    setup = refused("xray", "AccessDeniedException", "no", 403)
    # when
    said = text(check_xray(setup))
    # then
    assert "problem: the keys may not xray:PutTraceSegments" in said
    assert "problem: the keys may not xray:GetSamplingRules" in said
    assert "warning: the keys may not xray:GetGroups" in said


def test_a_wrong_clock_is_told_from_a_wrong_key(refused: Callable[..., Setup]) -> None:
    # given
    setup = refused(
        "xray", "InvalidSignatureException", "Signature expired: 2020 is now earlier than 2026", 403
    )
    # then
    assert "clock is wrong" in only(check_xray(setup)).what


def test_expired_credentials(refused: Callable[..., Setup]) -> None:
    # given
    setup = refused("xray", "ExpiredTokenException", "the token is expired", 403)
    # then
    assert "have expired" in only(check_xray(setup)).what


def test_provisioned_rule_and_group_are_named(played: Setup) -> None:
    # given
    xray = client(played, "xray")
    xray.create_sampling_rule(SamplingRule=rule("Cruddur", "backend-flask"))
    xray.create_group(GroupName="Cruddur", FilterExpression='service("backend-flask")')
    # when
    findings = list(check_xray(played))
    # then
    assert {finding.verdict for finding in findings} == {"ok"}, findings
    assert "Cruddur is for backend-flask: 5/s and 10%" in text(findings)
    assert "group Cruddur is about backend-flask" in text(findings)


def test_nothing_provisioned_is_a_warning_with_the_command(played: Setup) -> None:
    # when
    findings = list(check_xray(played))
    # then
    assert [finding.verdict for finding in findings] == ["ok", "warning", "warning"]
    assert findings[1].todo == findings[2].todo == "`make provision`"


def test_a_rule_and_a_group_for_nobody_are_problems(played: Setup) -> None:
    # given
    xray = client(played, "xray")
    xray.create_sampling_rule(SamplingRule=rule("Cruddur", "backend-flsk"))
    xray.create_group(GroupName="Cruddur", FilterExpression='service("Cruddur")')
    # when
    findings = list(check_xray(played))
    # then
    assert [finding.verdict for finding in findings] == ["ok", "problem", "problem"]
    assert "Cruddur for backend-flsk" in findings[1].what
    assert "Cruddur about Cruddur" in findings[2].what


@pytest.mark.parametrize(
    ("services", "verdict"),
    [
        (["*"], "ok"),
        (["backend-*"], "ok"),
        (["other", "profiles-flask"], "ok"),
        (["backend"], "problem"),
        ([], "warning"),
    ],
)
def test_which_rules_are_for_this_stack(services: list[str], verdict: str) -> None:
    # given
    rules = [rule(f"r{index}", service) for index, service in enumerate(services)]
    # then
    assert only(judge_rules(About("xray"), rules, NAMES)).verdict == verdict


def test_the_rule_of_the_first_priority_is_the_one_that_counts() -> None:
    # given
    rules = [rule("later", "*", 9000), rule("first", "backend-flask", 10)]
    # then
    assert "rule first is" in only(judge_rules(About("xray"), rules, NAMES)).what


def test_a_group_by_another_thing_than_a_service_is_told() -> None:
    # given
    groups = [{"GroupName": "Slow", "FilterExpression": "responsetime > 5"}]
    # then
    assert "Slow about no service by name" in only(judge_groups(About("x"), groups, NAMES)).what


def test_a_log_group_with_retention_is_well(
    played: Setup, with_config: Callable[[Setup, str], Setup]
) -> None:
    # given
    name = f"cruddur-{secrets.token_hex(4)}"
    logs = client(played, "logs")
    logs.create_log_group(logGroupName=name)
    logs.put_retention_policy(logGroupName=name, retentionInDays=30)
    # when
    finding = only(check_cloudwatch(with_config(played, WITH_LOGS.format(group=name))))
    # then
    assert finding.what == f"the log group {name} can be written, and keeps 30 days"
    assert logs.describe_log_streams(logGroupName=name)["logStreams"] == []


def test_a_log_group_that_keeps_everything_is_a_warning(
    played: Setup, with_config: Callable[[Setup, str], Setup]
) -> None:
    # given
    name = f"cruddur-{secrets.token_hex(4)}"
    client(played, "logs").create_log_group(logGroupName=name)
    # when
    finding = only(check_cloudwatch(with_config(played, WITH_LOGS.format(group=name))))
    # then
    assert (finding.verdict, "for ever" in finding.what) == ("warning", True)


def test_a_log_group_that_is_not_there_is_a_warning(
    played: Setup, with_config: Callable[[Setup, str], Setup]
) -> None:
    # given
    name = f"gone-{secrets.token_hex(4)}"
    # when
    finding = only(check_cloudwatch(with_config(played, WITH_LOGS.format(group=name))))
    # then
    assert (finding.verdict, f"{name} does not exist" in finding.what) == ("warning", True)


def test_logs_that_may_not_be_written_are_a_problem(
    refused: Callable[..., Setup], with_config: Callable[[Setup, str], Setup]
) -> None:
    # given
    setup = refused("cloudwatch", "AccessDeniedException", "no")
    # when
    findings = list(check_cloudwatch(with_config(setup, WITH_LOGS.format(group="cruddur"))))
    # then
    assert [(finding.verdict, finding.what[:36]) for finding in findings] == [
        ("problem", "the keys may not logs:PutLogEvents"),
        ("warning", "the keys may not logs:DescribeLogGro"),
    ]


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("refuse", "cannot be reached"),
        ("403", "may not"),
        ("500", "answers PutTraceSegments with 500"),
        ("429", "throttles"),
    ],
)
def test_a_broken_stand_in_for_xray_is_named(
    played: Setup, emulators: Client, mode: Any, said: str
) -> None:
    # given
    emulators.break_("xray", mode)
    # when
    findings = list(check_xray(played))
    # then
    assert said in findings[0].what.replace("xray:", ""), findings
    assert "make heal" in findings[0].todo


def test_a_played_aws_of_a_stack_that_is_down_is_said_to_be_played(
    make: Callable[..., Setup],
) -> None:
    # given
    setup = make(up=False)
    # then
    for check in (check_identity, check_xray, check_cloudwatch):
        finding = only(check(setup))
        assert (finding.verdict, "played by an emulator" in finding.what) == ("ok", True)


def test_placeholders_are_no_log_groups() -> None:
    # given
    config = {
        "exporters": {
            "awscloudwatchlogs": {"log_group_name": "a"},
            "awsemf": {"log_group_name": "/metrics/{ServiceName}"},
            "awsemf/2": None,
            "otlp_http": {"log_group_name": "b"},
        }
    }
    # then
    assert log_groups(config) == ["a"]


def test_the_action_is_read_out_of_awss_sentence() -> None:
    # given
    sentence = (
        "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: logs:PutLogEvents "
        "on resource: arn:aws:logs:eu-north-1:1:log-group:x because no identity-based policy allows"
    )
    # then
    assert missing_action(sentence) == "logs:PutLogEvents"
    assert missing_action("Access denied") is None
