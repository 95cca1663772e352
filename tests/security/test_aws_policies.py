"""What `make provision` may do in an account: what it does on the emulators, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from emulators import inprocess
from emulators.aws.settings import Settings
from stack.provision.account import Target, account_of
from stack.provision.changes import apply, plan_changes
from stack.provision.desired import load_desired
from stack.settings import ROOT

POLICY = ROOT / "aws/provision-policy.json"


def test_the_policy_for_provisioning_allows_what_it_calls_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: set[str] = set()
    session = boto3.session.Session

    def watched(**settings: Any) -> Any:
        made = session(**settings)

        def note(model: Any, **_: object) -> None:
            called.add(f"{model.service_model.signing_name}:{model.name}")

        made.events.register("before-call", note)
        return made

    monkeypatch.setattr(boto3.session, "Session", watched)
    with inprocess.running() as emulators:
        # given emulators that have nothing
        emulators.reset(everything=True)
        aws, played = emulators.address("aws"), Settings()
        endpoints = {"xray": emulators.address("xray"), "logs": aws, "cloudwatch": aws, "sts": aws}
        target = Target("eu-west-1", endpoints, played.access_key_id, played.secret_access_key)
        # when all is created
        desired = load_desired(ROOT, target.region, account_of(target))
        apply(target, plan_changes(target, desired))
        # and what can be changed is put back
        xray = target.client("xray")
        xray.update_sampling_rule(SamplingRuleUpdate={"RuleName": "Cruddur", "Priority": 1})
        group = desired.group.group_name
        xray.update_group(GroupName=group, FilterExpression='service("other")')
        apply(target, plan_changes(target, desired))
    # then
    statements = json.loads(POLICY.read_text())["Statement"]
    assert {one["Effect"] for one in statements} == {"Allow"}
    allowed = [action for one in statements for action in one["Action"]]
    assert sorted(allowed) == sorted({*allowed})
    assert {*allowed} == {_action(call) for call in called}


def _action(call: str) -> str:
    """CloudWatch's signing name is `monitoring`, its actions begin with `cloudwatch`."""
    return call.replace("monitoring:", "cloudwatch:")
