"""What `make provision` does: compare what aws/ asks for with what an account has, and change that.

Nothing is deleted. IAM policies and Transaction Search need more rights, or touch the whole
account: they are left to `aws cloudformation deploy` with the same template.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from stack.provision.account import AlreadyThereError, NotThereError, Target, ask, list_all
from stack.provision.desired import Desired, Group, SamplingRule


@dataclass(frozen=True, slots=True)
class Difference:
    """`found` is None where there was nothing."""

    name: str
    found: Any
    wanted: Any


@dataclass(frozen=True, slots=True)
class Call:
    """An operation of a boto3 client, for example `logs`, `put_retention_policy`."""

    service: Literal["xray", "logs", "cloudwatch"]
    operation: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to create or update, why, and the calls that do it."""

    action: Literal["create", "update"]
    kind: str
    name: str
    differences: tuple[Difference, ...]
    calls: tuple[Call, ...]


def plan_changes(target: Target, desired: Desired) -> list[Change]:
    """Say what `apply` would do; an account that has everything gives an empty list.

    Raises StackError when the account cannot be read.
    """
    changes = [_plan_group(target, desired.group), _plan_rule(target, desired.rule)]
    changes += [
        _PLANNERS[resource.kind](target, resource.properties)
        for resource in desired.resources
        if resource.kind in _PLANNERS
    ]
    return [change for change in changes if change is not None]


def apply(target: Target, changes: Sequence[Change]) -> None:
    """Carry out `changes` in their order. Raises StackError at the first that is refused."""
    for change in changes:
        for call in change.calls:
            # The collector makes its own log groups, and may do so after the look at what is there.
            with suppress(AlreadyThereError):
                ask(target, call.service, call.operation, call.arguments)


# --- X-Ray


def _plan_group(target: Target, group: Group) -> Change | None:
    wanted = group.model_dump(by_alias=True)
    groups = list_all(target, "xray", "get_groups", "Groups", {})
    found = _named(groups, "GroupName", group.group_name)
    return _compared(
        "X-Ray group",
        group.group_name,
        found,
        wanted,
        (Call("xray", "update_group" if found else "create_group", wanted),),
    )


def _plan_rule(target: Target, rule: SamplingRule) -> Change | None:
    wanted = rule.model_dump(by_alias=True)
    records = list_all(target, "xray", "get_sampling_rules", "SamplingRuleRecords", {})
    found = _named([record["SamplingRule"] for record in records], "RuleName", rule.rule_name)
    if found is None:
        call = Call("xray", "create_sampling_rule", {"SamplingRule": wanted})
    else:
        update = {key: value for key, value in wanted.items() if key != "Version"}
        call = Call("xray", "update_sampling_rule", {"SamplingRuleUpdate": update})
    return _compared("X-Ray sampling rule", rule.rule_name, found, wanted, (call,))


# --- CloudWatch


def _plan_log_group(target: Target, properties: dict[str, Any]) -> Change | None:
    name, days = properties["LogGroupName"], properties["RetentionInDays"]
    groups = list_all(
        target, "logs", "describe_log_groups", "logGroups", {"logGroupNamePrefix": name}
    )
    found = _named(groups, "logGroupName", name)
    calls = [Call("logs", "put_retention_policy", {"logGroupName": name, "retentionInDays": days})]
    if found is None:
        calls.insert(0, Call("logs", "create_log_group", {"logGroupName": name}))
    return _compared("log group", name, found, {"retentionInDays": days}, tuple(calls))


def _plan_metric_filter(target: Target, properties: dict[str, Any]) -> Change | None:
    name, group = properties["FilterName"], properties["LogGroupName"]
    wanted = {
        "filterPattern": properties["FilterPattern"],
        "metricTransformations": [
            {_camel(key): value for key, value in each.items()}
            for each in properties["MetricTransformations"]
        ],
    }
    try:
        filters = list_all(
            target,
            "logs",
            "describe_metric_filters",
            "metricFilters",
            {"logGroupName": group, "filterNamePrefix": name},
        )
        found = _named(filters, "filterName", name)
    except NotThereError:
        # The log group is itself still to be created.
        found = None
    call = Call("logs", "put_metric_filter", {"logGroupName": group, "filterName": name} | wanted)
    return _compared("metric filter", name, found, wanted, (call,))


def _plan_insight_rule(target: Target, properties: dict[str, Any]) -> Change | None:
    name, body = properties["RuleName"], json.loads(properties["RuleBody"])
    rules = list_all(target, "cloudwatch", "describe_insight_rules", "InsightRules", {})
    found = _named(rules, "Name", name)
    if found is not None:
        found = {"Definition": json.loads(found["Definition"]), "State": found["State"]}
    state = properties["RuleState"]
    arguments = {"RuleName": name, "RuleDefinition": json.dumps(body), "RuleState": state}
    call = Call("cloudwatch", "put_insight_rule", arguments)
    wanted = {"Definition": body, "State": state}
    return _compared("contributor rule", name, found, wanted, (call,))


def _plan_alarm(target: Target, properties: dict[str, Any]) -> Change | None:
    name = properties["AlarmName"]
    answer = ask(target, "cloudwatch", "describe_alarms", {"AlarmNames": [name]})
    found = next(iter(answer["MetricAlarms"]), None)
    call = Call("cloudwatch", "put_metric_alarm", properties)
    return _compared("alarm", name, found, properties, (call,))


def _plan_dashboard(target: Target, properties: dict[str, Any]) -> Change | None:
    name, body = properties["DashboardName"], json.loads(properties["DashboardBody"])
    try:
        answer = ask(target, "cloudwatch", "get_dashboard", {"DashboardName": name})
        found = {"DashboardBody": json.loads(answer["DashboardBody"])}
    except NotThereError:
        found = None
    arguments = {"DashboardName": name, "DashboardBody": json.dumps(body)}
    call = Call("cloudwatch", "put_dashboard", arguments)
    return _compared("dashboard", name, found, {"DashboardBody": body}, (call,))


def _plan_query(target: Target, properties: dict[str, Any]) -> Change | None:
    name, text = properties["Name"], properties["QueryString"].strip()
    queries = list_all(
        target,
        "logs",
        "describe_query_definitions",
        "queryDefinitions",
        {"queryDefinitionNamePrefix": name},
    )
    found = _named(queries, "name", name)
    arguments = {"name": name, "queryString": text, "logGroupNames": properties["LogGroupNames"]}
    if found is not None:
        # Without the id a second query of that name would be made.
        arguments["queryDefinitionId"] = found["queryDefinitionId"]
        found = {**found, "queryString": found["queryString"].strip()}
    wanted = {key: arguments[key] for key in ("queryString", "logGroupNames")}
    call = Call("logs", "put_query_definition", arguments)
    return _compared("saved query", name, found, wanted, (call,))


_PLANNERS: dict[str, Callable[[Target, dict[str, Any]], Change | None]] = {
    "AWS::Logs::LogGroup": _plan_log_group,
    "AWS::Logs::MetricFilter": _plan_metric_filter,
    "AWS::CloudWatch::InsightRule": _plan_insight_rule,
    "AWS::CloudWatch::Alarm": _plan_alarm,
    "AWS::CloudWatch::Dashboard": _plan_dashboard,
    "AWS::Logs::QueryDefinition": _plan_query,
}


# --- Comparing


def _named(items: Iterable[dict[str, Any]], key: str, name: str) -> dict[str, Any] | None:
    return next((item for item in items if item.get(key) == name), None)


def _compared(
    kind: str,
    name: str,
    found: dict[str, Any] | None,
    wanted: dict[str, Any],
    calls: tuple[Call, ...],
) -> Change | None:
    """Compare the wanted fields alone: an account answers many that nobody asked for."""
    differences = tuple(
        Difference(key, None if found is None else found.get(key), value)
        for key, value in wanted.items()
        if found is None or not _same(found.get(key), value)
    )
    if not differences:
        return None
    return Change("create" if found is None else "update", kind, name, differences, calls)


def _same(found: Any, wanted: Any) -> bool:
    """Say whether what an account answers is what was wanted; absent and empty are the same."""
    if isinstance(wanted, dict):
        answered = found or {}
        return all(_same(answered.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        answered = found or []
        return len(answered) == len(wanted) and all(
            _same(*pair) for pair in zip(_ordered(answered), _ordered(wanted), strict=True)
        )
    return bool(found == wanted)


def _ordered(items: list[Any]) -> list[Any]:
    """Order the metrics of an alarm by their Id: an account answers them in its own order."""
    if all(isinstance(item, dict) and "Id" in item for item in items):
        return sorted(items, key=lambda item: str(item["Id"]))
    return items


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]
