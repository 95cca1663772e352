"""What an account has under the template's names: made by hand, by AWS's CLI or by the collector.

CloudFormation takes such a resource into a stack by its identifier, which for some types is an ARN
or an id that only the service itself knows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from jmespath import search  # type: ignore[import-untyped]

from stack.provision.account import Target, asking, caller_of

Identifier = dict[str, str]

# By type: an operation that lists it, and where the answer has names and identifiers.
_LISTINGS: dict[str, tuple[Literal["xray", "logs", "cloudwatch"], str, str]] = {
    "AWS::XRay::Group": (
        "xray",
        "get_groups",
        "Groups[].[GroupName, {GroupARN: GroupARN}]",
    ),
    "AWS::XRay::SamplingRule": (
        "xray",
        "get_sampling_rules",
        "SamplingRuleRecords[].SamplingRule.[RuleName, {RuleARN: RuleARN}]",
    ),
    "AWS::Logs::LogGroup": (
        "logs",
        "describe_log_groups",
        "logGroups[].[logGroupName, {LogGroupName: logGroupName}]",
    ),
    "AWS::Logs::MetricFilter": (
        "logs",
        "describe_metric_filters",
        "metricFilters[].[filterName, {FilterName: filterName, LogGroupName: logGroupName}]",
    ),
    "AWS::Logs::QueryDefinition": (
        "logs",
        "describe_query_definitions",
        "queryDefinitions[].[name, {QueryDefinitionId: queryDefinitionId}]",
    ),
    "AWS::CloudWatch::Alarm": (
        "cloudwatch",
        "describe_alarms",
        "MetricAlarms[].[AlarmName, {AlarmName: AlarmName}]",
    ),
    "AWS::CloudWatch::Dashboard": (
        "cloudwatch",
        "list_dashboards",
        "DashboardEntries[].[DashboardName, {DashboardName: DashboardName}]",
    ),
    "AWS::CloudWatch::InsightRule": (
        "cloudwatch",
        "describe_insight_rules",
        "InsightRules[].[Name, {Arn: Name}]",
    ),
}


def find_existing(
    target: Target, names: Mapping[str, tuple[str, str]]
) -> dict[str, tuple[str, Identifier]]:
    """Type and identifier of each of `names` (type and name by logical id) that is there.

    Raises StackError when the account cannot be read.
    """
    groups = {name for kind, name in names.values() if kind == "AWS::Logs::LogGroup"}
    listed = {kind: _list(target, kind, groups) for kind in {kind for kind, _ in names.values()}}
    return {
        key: (kind, listed[kind][name])
        for key, (kind, name) in names.items()
        if name in listed[kind]
    }


def _list(target: Target, kind: str, groups: Collection[str]) -> dict[str, Identifier]:
    service, operation, shape = _LISTINGS[kind]
    with asking(target, service) as client:
        # Two have no pages; one answer has up to 500 rules or 1,000 queries.
        pages = (
            client.get_paginator(operation).paginate()
            if client.can_paginate(operation)
            else [getattr(client, operation)()]
        )
        found = [one for page in pages for one in search(shape, page) or ()]
    if kind == "AWS::CloudWatch::InsightRule" and found:
        caller = caller_of(target)
        partition = caller["Arn"].split(":")[1]
        prefix = f"arn:{partition}:cloudwatch:{target.region}:{caller['Account']}:insight-rule"
        found = [(name, {"Arn": f"{prefix}/{name}"}) for name, _ in found]
    return {
        name: identifier
        for name, identifier in found
        # Another log group's filter may have the name, too.
        if kind != "AWS::Logs::MetricFilter" or identifier["LogGroupName"] in groups
    }
