"""What `make provision` may do in an account: what it calls, and what CloudFormation then does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from emulators import inprocess
from stack.provision.account import account_of
from stack.provision.change_set import discard
from stack.provision.template import NAMES
from stack.settings import ROOT
from tests.unit.aws.played import proposed, provision, target_of

STATEMENTS = {
    one["Sid"]: one
    for one in json.loads((ROOT / "aws/provision-policy.json").read_text())["Statement"]
}
# CloudFormation's handlers also serve properties that the template does not have: keys, index and
# data protection policies, deliveries. And nobody needs a log group deleted.
NOT_NEEDED = (
    "KmsKey", "DataProtection", "IndexPolicy", "LogDelivery", "DeliveryStream", "BearerToken",
    "DeletionProtection", "PutResourcePolicy", "DeleteResourcePolicy", "s3:", "DeleteLogGroup",
)  # fmt: skip
READ = ("Get", "Describe", "List")


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
        target = target_of(emulators)
        account_of(target)
        # when a proposal is thrown away, then all is created
        found = proposed(target)
        assert found is not None
        discard(target, found)
        provision(target)
    # then CloudFormation's events alone are asked for only when that fails
    expected = {_action(call) for call in called} | {"cloudformation:DescribeStackEvents"}
    own = STATEMENTS["ChangeSetsOfOneStack"]["Action"] + STATEMENTS["SeeWhatIsThere"]["Action"]
    assert sorted(own) == sorted(expected)


def test_the_rest_is_cloudformations_alone_and_what_its_resources_need() -> None:
    statement = STATEMENTS["ThroughCloudFormation"]
    via = {"aws:CalledVia": "cloudformation.amazonaws.com"}
    assert statement["Condition"] == {"ForAnyValue:StringEquals": via}
    assert sorted(statement["Action"]) == sorted({*_of_handlers()})
    assert "logs:DeleteLogGroup" not in statement["Action"]


def _of_handlers() -> Iterator[str]:
    for kind in NAMES:
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
        for handler in ("create", "read", "update", "delete"):
            for action in schema["handlers"][handler]["permissions"]:
                reads = action.partition(":")[2].startswith(READ)
                if reads or not any(word in action for word in NOT_NEEDED):
                    yield action


def _action(call: str) -> str:
    """CloudWatch's signing name is `monitoring`, its actions begin with `cloudwatch`."""
    return call.replace("monitoring:", "cloudwatch:")
