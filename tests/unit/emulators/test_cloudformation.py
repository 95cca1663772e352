"""CloudFormation: what a stack makes is there for each service's own API, and goes with it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

TEMPLATE = """
Parameters:
  Rate: {Type: Number, Default: 0.1}
Resources:
  Group:
    Type: AWS::XRay::Group
    Properties: {GroupName: NAME, FilterExpression: 'service("backend-flask")'}
  Rule:
    Type: AWS::XRay::SamplingRule
    Properties:
      SamplingRule: {RuleName: NAME, ResourceARN: "*", Priority: 9000, FixedRate: !Ref Rate,
        ReservoirSize: 5, ServiceName: backend-flask, ServiceType: "*", Host: "*",
        HTTPMethod: "*", URLPath: "*", Version: 1}
  Search: {Type: AWS::XRay::TransactionSearchConfig, Properties: {IndexingPercentage: 1}}
  Logs: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: NAME, RetentionInDays: 7}}
  Errors:
    Type: AWS::Logs::MetricFilter
    Properties:
      FilterName: NAME
      LogGroupName: !Ref Logs
      FilterPattern: '{ $.severity_text = "ERROR" }'
      MetricTransformations: [{MetricName: Errors, MetricNamespace: NAME, MetricValue: "1"}]
  Query:
    Type: AWS::Logs::QueryDefinition
    Properties: {Name: NAME, QueryString: "fields @message", LogGroupNames: [!Ref Logs]}
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties: {AlarmName: NAME, Namespace: NAME, MetricName: Errors, Statistic: Sum,
      Period: 300, EvaluationPeriods: 3, Threshold: !Ref Rate,
      ComparisonOperator: GreaterThanThreshold}
Outputs:
  Group: {Value: !GetAtt Group.GroupARN}
  Rule: {Value: !Ref Rule}
"""


@pytest.fixture
def name() -> str:
    return f"stack-{secrets.token_hex(4)}"


def made(aws: Callable[..., Any], name: str, region: str) -> dict[str, Any]:
    """What the services' own APIs show of that name."""
    xray, logs = aws("xray", region=region), aws("logs", region=region)
    rules = xray.get_sampling_rules()["SamplingRuleRecords"]
    return {
        "groups": [
            one["FilterExpression"]
            for one in xray.get_groups()["Groups"]
            if one["GroupName"] == name
        ],
        "rules": [
            one["SamplingRule"]["FixedRate"]
            for one in rules
            if one["SamplingRule"]["RuleName"] == name
        ],
        "destination": xray.get_trace_segment_destination()["Destination"],
        "filters": [
            one["filterPattern"]
            for one in logs.describe_metric_filters(filterNamePrefix=name)["metricFilters"]
        ],
        "queries": [
            one["queryString"]
            for one in logs.describe_query_definitions(queryDefinitionNamePrefix=name)[
                "queryDefinitions"
            ]
        ],
        "alarms": [
            one["Threshold"]
            for one in aws("cloudwatch", region=region).describe_alarms(AlarmNames=[name])[
                "MetricAlarms"
            ]
        ],
    }


NOTHING: dict[str, Any] = {
    "groups": [],
    "rules": [],
    "destination": "XRay",
    "filters": [],
    "queries": [],
    "alarms": [],
}


def test_a_stack_makes_changes_and_takes_away(aws: Callable[..., Any], name: str) -> None:
    region = "sa-east-1"
    stacks = aws("cloudformation", region=region)
    template = TEMPLATE.replace("NAME", name)
    stacks.create_stack(StackName=name, TemplateBody=template)

    [stack] = stacks.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    assert outputs["Group"].startswith(f"arn:aws:xray:{region}:123456789012:group/{name}/")
    assert outputs["Rule"] == f"arn:aws:xray:{region}:123456789012:sampling-rule/{name}"
    complete = {
        "groups": ['service("backend-flask")'],
        "rules": [0.1],
        "destination": "CloudWatchLogs",
        "filters": ['{ $.severity_text = "ERROR" }'],
        "queries": ["fields @message"],
        "alarms": [0.1],
    }
    assert made(aws, name, region) == complete

    stacks.update_stack(
        StackName=name,
        TemplateBody=template,
        Parameters=[{"ParameterKey": "Rate", "ParameterValue": "0.5"}],
    )
    assert made(aws, name, region) == {**complete, "rules": [0.5], "alarms": [0.5]}

    stacks.delete_stack(StackName=name)
    assert made(aws, name, region) == NOTHING


@pytest.mark.parametrize(
    ("wrong", "right", "why"),
    [
        ("AWS::XRay::Group", "AWS::XRay::Gruppe", "not played here: AWS::XRay::Gruppe"),
        ('service("backend-flask")', "service(", "filter expression"),
        ('$.severity_text = "ERROR"', "$.severity_text ~ 1", "metric filter"),
        ("MetricName: Errors, MetricN", "MetricName: 'a:b', MetricN", "pattern: [^:*$]*"),
        ("Statistic: Sum", "Statistic: Total", "enum value set"),
    ],
)
def test_a_template_with_a_mistake_is_refused(
    aws: Callable[..., Any], name: str, wrong: str, right: str, why: str
) -> None:
    stacks = aws("cloudformation", region="ca-central-1")
    template = TEMPLATE.replace("NAME", name).replace(wrong, right)
    with pytest.raises(ClientError, match=re.escape(why)):
        stacks.create_stack(StackName=name, TemplateBody=template)
