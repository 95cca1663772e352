"""CloudFormation's change sets, with what moto's lack: parameters, conditions, drift, imports.

moto reads requests and templates, keeps the stacks and writes the answers; importing this puts our
change sets in the place of its own. One is carried out at once, and undone when a resource fails.
"""

# ruff: noqa: SLF001 - moto offers no other way into its stacks

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from moto.cloudformation.exceptions import CloudFormationError, ValidationError
from moto.cloudformation.models import Event, Stack
from moto.cloudformation.parsing import (
    ResourceMap,
    parse_and_update_resource,
    parse_resource_and_generate_name,
)
from moto.cloudformation.responses import CloudFormationResponse
from moto.cloudformation.utils import generate_changeset_id, generate_stack_id
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow

from emulators.aws.vendor import ACCOUNT
from emulators.cloudwatch.cloudformation import Resource

Json = dict[str, Any]

NO_CHANGES = (
    "The submitted information didn't contain changes. "
    "Submit different information to create a change set."
)
# A change of these makes another resource.
_IDENTITY = {"LogGroupName", "FilterName", "AlarmName", "DashboardName"}


class ChangeSetNotFoundError(CloudFormationError):
    """No change set has that name."""

    code = "ChangeSetNotFoundException"


class InvalidStatusError(CloudFormationError):
    """The change set cannot be executed."""

    code = "InvalidChangeSetStatusException"


class CapabilitiesError(CloudFormationError):
    """IAM resources were not acknowledged."""

    code = "InsufficientCapabilitiesException"


@dataclass(frozen=True, slots=True)
class _Planned:
    """A resource of a template with nothing left to resolve."""

    kind: str
    name: str
    properties: Json
    model: type[Any]
    retained: bool


@dataclass(slots=True)
class _ChangeSet:
    """`imports`: identifiers by logical id."""

    change_set_name: str
    change_set_id: str
    kind: str
    stack: Any
    body: str
    parameters: Json
    planned: dict[str, _Planned]
    imports: dict[str, Json]
    changes: list[Json]
    deletes_on_failure: bool
    creation_time: datetime
    execution_status: str


class _Names(ResourceMap):
    """A template's values without making its resources: a `Ref` to one is its name."""

    def __getitem__(self, key: str) -> Any:
        if key not in self._parsed_resources:
            resource = copy.deepcopy(self._resource_json_map[key])
            self._parsed_resources[key] = parse_resource_and_generate_name(key, resource, self)[2]
        return self._parsed_resources[key]


def _plan(stack: Any, template: Json, parameters: Json) -> dict[str, _Planned]:
    """The resources whose condition holds, by logical id."""
    if not template:
        return {}
    unknown = sorted({*parameters} - {*template.get("Parameters", ())})
    if unknown:
        raise ValidationError(message=f"Parameters: {unknown} do not exist in the template")
    names = _Names(
        stack.stack_id, stack.name, parameters, {}, stack.region_name, ACCOUNT, template, {}
    )
    names.load()
    planned = {}
    for key, resource in template["Resources"].items():
        if names.lazy_condition_map[resource["Condition"]] if "Condition" in resource else True:
            found = parse_resource_and_generate_name(key, copy.deepcopy(resource), names)
            model, resolved, name = found
            retained = "Retain" in resource.get("DeletionPolicy", "")
            properties = resolved["Properties"]
            planned[key] = _Planned(resource["Type"], name, properties, model, retained)
    return planned


# --- What would change


def _compare(
    stack: Any, wanted: dict[str, _Planned], imports: dict[str, Json], drift: bool
) -> list[Json]:
    before = _plan(stack, stack.template_dict, stack.resource_map.input_parameters)
    changes = []
    for key, resource in wanted.items():
        there = before.get(key)
        found: Json | None = there.properties if there else None
        if there and drift and issubclass(resource.model, Resource):
            found = stack.resource_map[key].read()
        if found is None:
            changes.append(_change("Import" if key in imports else "Add", key, resource, []))
            continue
        names = {*resource.properties, *(there.properties if there else ())}
        details = [
            detail
            for name in sorted(names)
            for detail in _details(name, found.get(name), resource.properties.get(name))
        ]
        if details:
            changes.append(_change("Modify", key, resource, details))
    gone = ((key, one) for key, one in before.items() if key not in wanted)
    return changes + [_change("Remove", key, one, []) for key, one in gone]


def _change(action: str, key: str, resource: _Planned, details: list[Json]) -> Json:
    change: Json = {"Action": action, "LogicalResourceId": key, "ResourceType": resource.kind}
    if action != "Add":
        change["PhysicalResourceId"] = resource.name
    if action != "Remove":
        change["AfterContext"] = json.dumps({"Properties": resource.properties})
    if details:
        recreated = {one["Target"]["RequiresRecreation"] for one in details}
        change |= {"Replacement": str("Always" in recreated), "Scope": ["Properties"]}
    return {**change, "Details": details}


def _details(path: str, found: Any, wanted: Any) -> list[Json]:
    """A detail of each property that differs, however deep."""
    if _same(found, wanted):
        return []
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [
            detail
            for name, value in wanted.items()
            for detail in _details(f"{path}/{name}", found.get(name), value)
        ]
    target = {
        "Attribute": "Properties",
        "Name": path.split("/", maxsplit=1)[0],
        "Path": f"/Properties/{path}",
        "RequiresRecreation": "Always" if path in _IDENTITY else "Never",
    }
    for key, value in (("BeforeValue", found), ("AfterValue", wanted)):
        if value is not None:
            target[key] = value if isinstance(value, str) else json.dumps(value)
    return [{"Target": target, "Evaluation": "Static", "ChangeSource": "DirectModification"}]


def _same(found: Any, wanted: Any) -> bool:
    """Absent is empty, what nobody asked for does not count, and "1" is 1.0."""
    if isinstance(wanted, dict):
        answered = found or {}
        return all(_same(answered.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        answered = found or []
        pairs = zip(_ordered(answered), _ordered(wanted), strict=False)
        return len(answered) == len(wanted) and all(_same(*pair) for pair in pairs)
    try:
        return float(found) == float(wanted)
    except (TypeError, ValueError):
        return str(found or "").strip() == str(wanted or "").strip()


def _ordered(items: list[Any]) -> list[Any]:
    """An alarm's metrics come back in another order."""
    return sorted(items, key=lambda one: str(one.get("Id", "")) if isinstance(one, dict) else "")


# --- The four operations


def _create(response: Any) -> ActionResult:
    asked, backend = response._get_params(), response.cloudformation_backend
    kind = asked.get("ChangeSetType", "UPDATE")
    imports = {
        one["LogicalResourceId"]: one["ResourceIdentifier"]
        for one in asked.get("ResourcesToImport", ())
    }
    stack = _stack_for(backend, asked["StackName"], kind)
    body = stack.template if asked.get("UsePreviousTemplate") else asked["TemplateBody"]
    try:
        template = Stack.parse_template(body)
    except ValueError as error:
        raise ValidationError(message=f"Template format error: {error}") from None
    iam = [one for one in template["Resources"].values() if one["Type"].startswith("AWS::IAM::")]
    if iam and "CAPABILITY_NAMED_IAM" not in asked.get("Capabilities", ()):
        raise CapabilitiesError("Requires capabilities : [CAPABILITY_NAMED_IAM]")
    parameters = {
        one["ParameterKey"]: stack.stack_parameters[one["ParameterKey"]]
        if one.get("UsePreviousValue")
        else one["ParameterValue"]
        for one in asked.get("Parameters", ())
    }
    planned = _plan(stack, template, parameters)
    changes = _compare(stack, planned, imports, asked.get("DeploymentMode") == "REVERT_DRIFT")
    if kind == "IMPORT":
        _check_import(template, planned, imports, changes, stack.region_name)
    # Only what is answered has its place among the stacks.
    backend.stacks[stack.stack_id] = stack
    arn = generate_changeset_id(asked["ChangeSetName"], stack.region_name, ACCOUNT)
    backend.change_sets[arn] = _ChangeSet(
        asked["ChangeSetName"],
        arn,
        kind,
        stack,
        body,
        parameters,
        planned,
        imports,
        changes,
        asked.get("OnStackFailure") == "DELETE",
        utcnow(),
        "AVAILABLE" if changes else "UNAVAILABLE",
    )
    return ActionResult({"Id": arn, "StackId": stack.stack_id})


def _stack_for(backend: Any, name: str, kind: str) -> Any:
    """The stack, or a new one that has nothing yet."""
    found = next((one for one in backend.stacks.values() if name in (one.name, one.stack_id)), None)
    if found is not None and found.status != "REVIEW_IN_PROGRESS":
        if kind == "CREATE":
            raise ValidationError(message=f"Stack [{name}] already exists and cannot be created")
        if found.status == "ROLLBACK_COMPLETE":
            why = f"Stack:{found.stack_id} is in ROLLBACK_COMPLETE state and can not be updated."
            raise ValidationError(message=why)
        return found
    if kind == "UPDATE":
        raise ValidationError(message=f"Stack [{name}] does not exist")
    if found is not None:
        return found
    region = backend.region_name
    stack_id = generate_stack_id(name, region, ACCOUNT)
    # moto leaves some methods of a resource out, which a stack is, too.
    stack = cast("Any", Stack)(stack_id, name, {}, {}, ACCOUNT, region, tags={})
    stack.status = "REVIEW_IN_PROGRESS"
    return stack


def _check_import(
    template: Json,
    planned: dict[str, _Planned],
    imports: dict[str, Json],
    changes: list[Json],
    region: str,
) -> None:
    if {one["Action"] for one in changes} != {"Import"}:
        why = "As part of the import operation, you cannot modify or add resources"
        raise ValidationError(message=why)
    for key, identifier in imports.items():
        if "DeletionPolicy" not in template["Resources"][key]:
            raise ValidationError(message=f"Resources [{key}] is missing DeletionPolicy attribute")
        if _existing(planned[key], identifier, region).read() is None:
            raise ValidationError(message=f"Resource {key} to import does not exist")


def _existing(resource: _Planned, identifier: Json, region: str) -> Any:
    there: Any = resource.model(resource.name, resource.properties, region)
    there.attributes = dict(identifier)
    return there


def _describe(response: Any) -> ActionResult:
    asked = response._get_params()
    found = _find(response.cloudformation_backend, asked)
    changes = copy.deepcopy(found.changes)
    if not asked.get("IncludePropertyValues"):
        for change in changes:
            change.pop("AfterContext", None)
            for detail in change["Details"]:
                detail["Target"].pop("BeforeValue", None)
                detail["Target"].pop("AfterValue", None)
    answer = {
        "ChangeSetName": found.change_set_name,
        "ChangeSetId": found.change_set_id,
        "StackId": found.stack.stack_id,
        "StackName": found.stack.name,
        "Parameters": found.parameters,
        "CreationTime": found.creation_time,
        "ExecutionStatus": found.execution_status,
        "Status": "CREATE_COMPLETE" if changes else "FAILED",
        "Changes": [{"Type": "Resource", "ResourceChange": one} for one in changes],
    }
    return ActionResult(answer if changes else {**answer, "StatusReason": NO_CHANGES})


def _delete(response: Any) -> EmptyResult:
    backend = response.cloudformation_backend
    del backend.change_sets[_find(backend, response._get_params()).change_set_id]
    return EmptyResult()


def _execute(response: Any) -> EmptyResult:
    backend = response.cloudformation_backend
    found = _find(backend, response._get_params())
    if found.execution_status != "AVAILABLE":
        why = f"ChangeSet [{found.change_set_id}] cannot be executed in its current status"
        raise InvalidStatusError(why)
    backend.change_sets = {
        key: one
        for key, one in backend.change_sets.items()
        if one.stack is not found.stack or one is found
    }
    found.execution_status = "EXECUTE_COMPLETE"
    if not _carry_out(found) and found.kind == "CREATE" and found.deletes_on_failure:
        found.stack.status = "DELETE_COMPLETE"
        backend.deleted_stacks[found.stack.stack_id] = backend.stacks.pop(found.stack.stack_id)
    return EmptyResult()


def _find(backend: Any, asked: Json) -> _ChangeSet:
    name, stack = asked["ChangeSetName"], asked.get("StackName")
    for one in backend.change_sets.values():
        in_stack = stack in (one.stack.name, one.stack.stack_id)
        if name == one.change_set_id or (name == one.change_set_name and in_stack):
            found: _ChangeSet = one
            return found
    raise ChangeSetNotFoundError(f"ChangeSet [{name}] does not exist")


# --- Carrying out


def _carry_out(change_set: _ChangeSet) -> bool:
    """Whether it worked; else the stack is as it was."""
    stack, kind = change_set.stack, change_set.kind
    before = stack.resource_map
    kept = stack.template, stack.parameters
    _give(stack, change_set.body, change_set.parameters)
    after = stack.resource_map = stack._create_resource_map()
    added = {one["LogicalResourceId"] for one in change_set.changes if one["Action"] == "Add"}
    for key in {*before.resources} & {*change_set.planned} - added:
        after._parsed_resources[key] = before._parsed_resources[key]
    for change in change_set.changes:
        try:
            _apply(change_set, change, before, after)
        except CloudFormationError as error:
            doing = "CREATE" if change["Action"] == "Add" else "UPDATE"
            key, status = change["LogicalResourceId"], f"{doing}_FAILED"
            event = (stack.stack_id, stack.name, key, "", change["ResourceType"], status)
            stack.events.append(Event(*event, str(error.message), None))
            _undo(change_set, before, after)
            _give(stack, *kept)
            stack.resource_map = before
            stack.status = "ROLLBACK_COMPLETE" if kind == "CREATE" else "UPDATE_ROLLBACK_COMPLETE"
            return False
    stack.output_map = stack._create_output_map()
    stack.status = f"{kind}_COMPLETE"
    return True


def _give(stack: Any, body: Any, parameters: Json) -> None:
    stack.template, stack.parameters = body, parameters
    stack.template_dict = Stack.parse_template(body) if body else {}


def _apply(change_set: _ChangeSet, change: Json, before: Any, after: Any) -> None:
    key, stack = change["LogicalResourceId"], change_set.stack
    match change["Action"]:
        case "Add":
            # A look at it makes it, and what it refers to.
            after[key]
        case "Import":
            there = _existing(change_set.planned[key], change_set.imports[key], stack.region_name)
            there.logical_resource_id = key
            there.cf_resource_type = change["ResourceType"]
            after._parsed_resources[key] = there
        case "Modify" if change["Replacement"] == "True":
            old = after._parsed_resources.pop(key)
            after[key]
            if after._resource_json_map[key].get("UpdateReplacePolicy") != "Retain":
                old.remove()
        case "Modify":
            after._parsed_resources[key] = parse_and_update_resource(
                key, copy.deepcopy(after._resource_json_map[key]), after, ACCOUNT, stack.region_name
            )
        case "Remove":
            resource = before._resource_json_map[key]
            if "Retain" not in resource.get("DeletionPolicy", ""):
                before._delete_resource(before._parsed_resources[key], resource)


def _undo(change_set: _ChangeSet, before: Any, after: Any) -> None:
    actions = {one["LogicalResourceId"]: one["Action"] for one in change_set.changes}
    for key, resource in reversed([*after._parsed_resources.items()]):
        if actions.get(key) == "Add" and not change_set.planned[key].retained:
            after._delete_resource(resource, after._resource_json_map[key])
        elif actions.get(key) == "Modify" and isinstance(resource, Resource):
            before._parsed_resources[key].change()


for name, operation in {
    "create_change_set": _create,
    "describe_change_set": _describe,
    "delete_change_set": _delete,
    "execute_change_set": _execute,
}.items():
    setattr(CloudFormationResponse, name, operation)
# It makes what moto's own changes have of each change.
del CloudFormationResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER["DescribeChangeSetOutput.Changes"]
