"""`make provision` against the emulators: real requests, signatures verified."""

from __future__ import annotations

from dataclasses import replace

import pytest

from emulators import inprocess
from stack.errors import StackError
from stack.provision.account import account_of
from stack.provision.changes import apply, plan_changes
from stack.provision.desired import load_desired
from stack.settings import ROOT
from tests.unit.aws.played import target_of


def test_the_stand_ins_are_provisioned_once_and_kept_so() -> None:
    with inprocess.running() as emulators:
        # given emulators that have nothing
        emulators.reset(everything=True)
        target = target_of(emulators)
        desired = load_desired(ROOT, target.region, account_of(target))
        changes = plan_changes(target, desired)
        assert {change.action for change in changes} == {"create"}
        # when it is applied
        apply(target, changes)
        # then a second look finds nothing to do
        assert plan_changes(target, desired) == []
        # and after a change by hand only that
        target.client("xray").update_sampling_rule(
            SamplingRuleUpdate={"RuleName": "Cruddur", "Priority": 1}
        )
        assert [change.name for change in plan_changes(target, desired)] == ["Cruddur"]


def test_a_log_group_that_the_collector_makes_meanwhile_is_kept_and_gets_its_retention() -> None:
    with inprocess.running() as emulators:
        # given a look at an account that has nothing
        emulators.reset(everything=True)
        target = target_of(emulators)
        desired = load_desired(ROOT, target.region, account_of(target))
        changes = plan_changes(target, desired)
        # when the collector writes there before the changes are made
        for group in (change.name for change in changes if change.kind == "log group"):
            target.client("logs").create_log_group(logGroupName=group)
        apply(target, changes)
        # then nothing is left to do
        assert plan_changes(target, desired) == []


def test_a_wrong_secret_is_told_in_one_line() -> None:
    with inprocess.running() as emulators:
        target = replace(target_of(emulators), secret_access_key="wrong", account="1")
        with pytest.raises(StackError, match="check the access key and its secret") as error:
            plan_changes(target, load_desired(ROOT, target.region, "1"))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(("vendor", "mode"), [("xray", "429"), ("xray", "403"), ("aws", "500")])
def test_an_account_that_fails_is_told_in_one_line(vendor: str, mode: str) -> None:
    with inprocess.running() as emulators:
        emulators.break_(vendor, mode)  # type: ignore[arg-type]
        target = replace(target_of(emulators), account="1")
        with pytest.raises(StackError, match=r"refused|does not answer") as error:
            plan_changes(target, load_desired(ROOT, target.region, "1"))
        assert "\n" not in str(error.value)
