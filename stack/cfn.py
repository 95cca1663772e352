"""Reads a CloudFormation template as far as ours goes, so that its values are written once.

Known are Ref, Sub, If, Equals, Not and conditions on resources. Anything else is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from stack.errors import StackError

# What `Ref` answers for a resource that CloudFormation would create.
NAME_PROPERTIES = {
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::CloudWatch::InsightRule": "RuleName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
}
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Resource:
    """`properties` as CloudFormation would see them: no function and no parameter is left."""

    logical_id: str
    kind: str
    properties: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Call:
    """A function of CloudFormation, written as a YAML tag."""

    name: str
    argument: Any


@dataclass(frozen=True, slots=True)
class _Scope:
    template: dict[str, Any]
    values: dict[str, Any]


class _Loader(yaml.SafeLoader):
    pass


def _construct_call(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> _Call:
    if isinstance(node, yaml.ScalarNode):
        return _Call(name, loader.construct_scalar(node))
    if isinstance(node, yaml.SequenceNode):
        return _Call(name, loader.construct_sequence(node, deep=True))
    return _Call(name, loader.construct_mapping(node, deep=True))  # type: ignore[arg-type]


_Loader.add_multi_constructor("!", _construct_call)


def load_resources(
    path: Path, parameters: Mapping[str, Any], region: str, account: str
) -> list[Resource]:
    """Return the resources of the template at `path` whose condition holds, in its order.

    `parameters` take the place of the template's defaults. Raises StackError for a file that
    cannot be read, an unknown parameter and a function that this reader does not know.
    """
    try:
        template = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
    except OSError as error:
        raise StackError(f"{path} cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise StackError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    declared = template.get("Parameters", {})
    for name in parameters:
        if name not in declared:
            raise StackError(
                f"{path.name} has no parameter {name}", f"known are {', '.join(declared)}"
            )
    values = {name: each["Default"] for name, each in declared.items() if "Default" in each}
    partition = "aws-cn" if region.startswith("cn-") else "aws"
    values |= {
        "AWS::Region": region,
        "AWS::AccountId": account,
        "AWS::Partition": "aws-us-gov" if region.startswith("us-gov-") else partition,
        "AWS::NoValue": _ABSENT,
    }
    scope = _Scope(template, values | dict(parameters))
    return [
        Resource(name, each["Type"], _resolve(each.get("Properties", {}), scope))
        for name, each in template["Resources"].items()
        if "Condition" not in each or _condition(each["Condition"], scope)
    ]


def _condition(name: str, scope: _Scope) -> bool:
    return bool(_resolve(scope.template["Conditions"][name], scope))


def _resolve(value: Any, scope: _Scope) -> Any:
    if isinstance(value, _Call):
        return _call(value, scope)
    if isinstance(value, dict):
        resolved = {key: _resolve(each, scope) for key, each in value.items()}
        return {key: each for key, each in resolved.items() if each is not _ABSENT}
    if isinstance(value, list):
        return [each for each in (_resolve(item, scope) for item in value) if each is not _ABSENT]
    return value


def _call(call: _Call, scope: _Scope) -> Any:
    match call.name:
        case "Ref":
            return _reference(call.argument, scope)
        case "Sub":
            text, own = call.argument if isinstance(call.argument, list) else (call.argument, {})
            inner = replace(scope, values=scope.values | _resolve(own, scope))
            return re.sub(
                r"\$\{([^}!]+)\}", lambda found: str(_reference(found.group(1), inner)), text
            )
        case "If":
            condition, if_true, if_false = call.argument
            return _resolve(if_true if _condition(condition, scope) else if_false, scope)
        case "Equals":
            left, right = (_resolve(each, scope) for each in call.argument)
            return left == right
        case "Not":
            return not _resolve(call.argument[0], scope)
    raise StackError(f"!{call.name} in the template is not known to `make provision`")


def _reference(name: str, scope: _Scope) -> Any:
    if name in scope.values:
        return scope.values[name]
    if name in scope.template.get("Parameters", {}):
        raise StackError(f"the template's parameter {name} has no value")
    resource = scope.template["Resources"].get(name)
    if resource is None or resource["Type"] not in NAME_PROPERTIES:
        raise StackError(f"!Ref {name} in the template leads to nothing that has a name")
    return _resolve(resource["Properties"][NAME_PROPERTIES[resource["Type"]]], scope)
