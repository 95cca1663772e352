"""A CloudFormation change set: made, shown, and carried out or thrown away.

What exists already and is in no stack is taken over first, by a change set that does nothing else,
since CloudFormation allows nothing else beside an import.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import ClientError, WaiterError

from stack.errors import StackError
from stack.provision.account import Target, asking
from stack.provision.existing import find_existing
from stack.provision.template import Template

STACK = "cruddur-telemetry"
NOTHING = ("didn't contain changes", "No updates are to be performed")

Kind = Literal["CREATE", "UPDATE", "IMPORT"]


@dataclass(frozen=True, slots=True)
class Change:
    """`action`: Add, Modify, Remove, Import. `differences`: property, before, after."""

    action: str
    kind: str
    name: str
    replaced: bool
    differences: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """`arn` and `stack` identify it and its stack."""

    arn: str
    stack: str
    kind: Kind
    changes: tuple[Change, ...]


def propose(target: Target, template: Template, parameters: Mapping[str, str]) -> ChangeSet | None:
    """Have CloudFormation say what would change; None where nothing would.

    Raises StackError when CloudFormation cannot or may not.
    """
    stack = _stack(target)
    inside = _inside(target) if stack else set()
    names = template.names(parameters)
    outside = {key: one for key, one in names.items() if key not in inside}
    existing = find_existing(target, outside)
    asked: dict[str, Any] = {"ChangeSetType": "UPDATE" if stack else "CREATE"}
    body = template.text
    if existing:
        asked["ChangeSetType"] = "IMPORT"
        asked["ResourcesToImport"] = [
            {"ResourceType": kind, "LogicalResourceId": key, "ResourceIdentifier": identifier}
            for key, (kind, identifier) in existing.items()
        ]
        body = template.only({*existing, *inside})
    elif stack:
        # Also what somebody changed by hand is put back.
        asked["DeploymentMode"] = "REVERT_DRIFT"
    else:
        asked["OnStackFailure"] = "DELETE"
    with asking(target, "cloudformation") as client:
        made = client.create_change_set(
            StackName=STACK,
            ChangeSetName=f"make-provision-{time.time_ns()}",
            TemplateBody=body,
            Parameters=_parameters(template, parameters, stack),
            # The template has IAM policies, whether or not they are asked for.
            Capabilities=["CAPABILITY_NAMED_IAM"],
            **asked,
        )
        changes = _await_changes(client, made["Id"], target)
        if changes is None:
            client.delete_change_set(ChangeSetName=made["Id"])
            return None
    return ChangeSet(made["Id"], made["StackId"], asked["ChangeSetType"], tuple(changes))


def execute(target: Target, change_set: ChangeSet) -> None:
    """Carry it out, and wait. Raises StackError with CloudFormation's reason when that fails."""
    with asking(target, "cloudformation") as client:
        client.execute_change_set(ChangeSetName=change_set.arn)
        waiter = client.get_waiter(f"stack_{change_set.kind.lower()}_complete")
        try:
            waiter.wait(StackName=change_set.stack, WaiterConfig=_every(5))
        except WaiterError as failed:
            pages = client.get_paginator("describe_stack_events").paginate(
                StackName=change_set.stack
            )
            why = [
                f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
                for page in pages
                for event in page["StackEvents"]
                if event["ResourceStatus"].endswith("_FAILED") and "ResourceStatusReason" in event
            ]
            # The newest comes first; what failed first has made the others fail.
            reason = " ".join(why[-1].split()) if why else str(failed)
            raise StackError(
                f"CloudFormation gave up, and has undone what it did: {reason}",
                "put that right, then `make provision` again",
            ) from failed


def discard(target: Target, change_set: ChangeSet) -> None:
    """Throw it away. A new stack stays behind, empty, for the next one."""
    with asking(target, "cloudformation") as client:
        client.delete_change_set(ChangeSetName=change_set.arn)


def _stack(target: Target) -> dict[str, Any] | None:
    """The stack; None where there is none, or an empty one. Raises StackError in a bad state."""
    with asking(target, "cloudformation") as client:
        try:
            found: dict[str, Any] = client.describe_stacks(StackName=STACK)["Stacks"][0]
        except ClientError as refused:
            if "does not exist" in str(refused):
                return None
            raise
    status = found["StackStatus"]
    if status == "REVIEW_IN_PROGRESS":
        return None
    if status.endswith("_IN_PROGRESS"):
        raise StackError(
            f"the stack {STACK} is being changed ({status})", "try again once that is over"
        )
    if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"):
        what = f"the stack {STACK} is in {status} and takes no change"
        raise StackError(what, f"aws cloudformation delete-stack --stack-name {STACK}")
    if status == "UPDATE_ROLLBACK_FAILED":
        what = f"the stack {STACK} is in {status} and takes no change"
        raise StackError(what, f"aws cloudformation continue-update-rollback --stack-name {STACK}")
    return found


def _inside(target: Target) -> set[str]:
    with asking(target, "cloudformation") as client:
        pages = client.get_paginator("list_stack_resources").paginate(StackName=STACK)
        return {
            one["LogicalResourceId"]
            for page in pages
            for one in page["StackResourceSummaries"]
            if one["ResourceStatus"] != "DELETE_COMPLETE"
        }


def _parameters(
    template: Template, parameters: Mapping[str, str], stack: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """Ours; the others keep what the stack has, and a new stack gets no policies."""
    given: dict[str, dict[str, Any]] = {}
    if stack is None:
        given["Policies"] = {"ParameterValue": "none"}
    else:
        known = {one["ParameterKey"] for one in stack.get("Parameters", ())}
        given |= {key: {"UsePreviousValue": True} for key in known & template.parameters}
    given |= {key: {"ParameterValue": value} for key, value in parameters.items()}
    return [{"ParameterKey": key, **value} for key, value in given.items()]


def _await_changes(client: Any, arn: str, target: Target) -> list[Change] | None:
    """What would change; None where nothing would. Raises StackError when it cannot be made."""
    try:
        client.get_waiter("change_set_create_complete").wait(
            ChangeSetName=arn, WaiterConfig=_every(2)
        )
    except WaiterError as failed:
        last = failed.last_response
        said = last.get("StatusReason") or last.get("Error", {}).get("Message") or failed
        reason = " ".join(str(said).split())
        if any(one in reason for one in NOTHING):
            return None
        raise StackError(
            f"CloudFormation cannot do this in {target.region}: {reason}",
            f"aws cloudformation describe-events --change-set-name {arn} may say more",
        ) from failed
    pages = client.get_paginator("describe_change_set").paginate(
        ChangeSetName=arn, IncludePropertyValues=True
    )
    return [_change(one["ResourceChange"]) for page in pages for one in page["Changes"]]


def _change(resource: dict[str, Any]) -> Change:
    targets = [detail["Target"] for detail in resource.get("Details", ())]
    differences = {
        str(one.get("Path") or one.get("Name") or one["Attribute"]).removeprefix("/Properties/"): (
            one.get("BeforeValue", ""),
            one.get("AfterValue", ""),
        )
        for one in targets
    }
    return Change(
        resource["Action"],
        resource["ResourceType"].removeprefix("AWS::"),
        resource["LogicalResourceId"],
        resource.get("Replacement") in ("True", "Conditional"),
        tuple((name, before, after) for name, (before, after) in differences.items()),
    )


def _every(seconds: int) -> dict[str, int]:
    """Half an hour, and a look every few seconds."""
    return {"Delay": seconds, "MaxAttempts": 1800 // seconds}
