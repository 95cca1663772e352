"""CloudFormation resources that moto lacks; importing this makes them known to it.

moto makes and keeps these objects; what they stand for lives where its own API finds it: X-Ray's
groups and rules in our X-Ray, filters and alarms in moto.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar

# moto's own resources first: of two for one type the later counts.
import moto.cloudwatch.models
import moto.logs.models
from moto.cloudformation.exceptions import UnformattedGetAttTemplateException, ValidationError
from moto.cloudformation.parsing import NULL_MODELS, get_model_map
from moto.core.common_models import CloudFormationModel

from emulators.aws.vendor import ACCOUNT, AwsError
from emulators.cloudwatch import contributor_insights, metric_filters
from emulators.xray.api import Region
from emulators.xray.groups import GroupError
from emulators.xray.sampling import RuleError

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class World:
    """Where resources reach: X-Ray's regions, and moto's JSON APIs (target, region, parameters)."""

    region: Callable[[str], Region]
    call: Callable[[str, str, Json], Json]
    queries: dict[str, Json]


# Set for as long as moto works on a request: its resource classes belong to the process.
WORLD: ContextVar[World] = ContextVar("WORLD")

_TYPE = re.compile(r"[\"']?Type[\"']?\s*:\s*[\"']?(AWS::\w+::\w+)[\"']?\s*(?:[,}\n]|$)")


def unknown_types(template: str) -> list[str]:
    """The resource types in a template that nobody plays; moto would pass over them."""
    known = {*get_model_map(), *NULL_MODELS}
    return sorted(set(_TYPE.findall(template)) - known)


class Resource:
    """One resource; a subclass says what making, changing and deleting it does.

    moto looks for the direct subclasses of its own model: so that is each subclass's other base.
    """

    kind: ClassVar[str]
    name_property: ClassVar[str] = ""
    one_of_many: ClassVar[bool] = True

    def __init__(self, name: str, properties: Json, region: str) -> None:
        self.name = name
        self.properties = properties
        self.region = region
        self.attributes: Json = {}

    def read(self) -> Json | None:
        """The properties that the service has for it now, None where it is not there."""
        raise NotImplementedError

    @classmethod
    def cloudformation_name_type(cls) -> str:
        return cls.name_property

    @classmethod
    def cloudformation_type(cls) -> str:
        return cls.kind

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr in ("GroupARN", "RuleARN", "Arn", "QueryDefinitionId")

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        """What GetAtt answers."""
        if attribute_name not in self.attributes:
            raise UnformattedGetAttTemplateException
        return self.attributes[attribute_name]

    @property
    def physical_resource_id(self) -> str:
        """What Ref answers."""
        return self.name

    def is_created(self) -> bool:
        return True

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: Json,
        account_id: str,
        region_name: str,
        **kwargs: Any,
    ) -> Resource:
        del account_id, kwargs
        resource = cls(resource_name, cloudformation_json["Properties"], region_name)
        if cls.one_of_many and resource.read() is not None:
            raise ValidationError(resource_name, f"{cls.kind} {resource_name} already exists")
        resource._apply(resource.create)
        return resource

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Resource,
        new_resource_name: str,
        cloudformation_json: Json,
        account_id: str,
        region_name: str,
    ) -> Resource:
        del account_id
        resource = cls(new_resource_name, cloudformation_json["Properties"], region_name)
        if new_resource_name == original_resource.name:
            resource.attributes = original_resource.attributes
            resource._apply(resource.change)
        else:
            resource._apply(resource.create)
            original_resource._apply(original_resource.remove)
        return resource

    @classmethod
    def delete_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: Json,
        account_id: str,
        region_name: str,
    ) -> None:
        del account_id
        resource = cls(resource_name, cloudformation_json.get("Properties", {}), region_name)
        resource._apply(resource.remove)

    def delete(self, account_id: str, region_name: str) -> None:
        """Called when the stack is deleted."""
        del account_id, region_name
        self._apply(self.remove)

    def create(self) -> None:
        """Make it."""
        raise NotImplementedError

    def change(self) -> None:
        """Change it; most are simply put again."""
        self.create()

    def remove(self) -> None:
        """Delete it."""
        raise NotImplementedError

    def _call(self, operation: str, **asked: Any) -> Json:
        """One call of the service's own API."""
        logs = self.kind.startswith("AWS::Logs")
        target = "Logs_20140328" if logs else "GraniteServiceVersion20100801"
        return WORLD.get().call(f"{target}.{operation}", self.region, asked)

    def _apply(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (GroupError, RuleError, AwsError, KeyError) as error:
            raise ValidationError(self.name, f"{self.kind} {self.name}: {error}") from None


class Group(Resource, CloudFormationModel):
    """An X-Ray group; Ref answers its ARN."""

    kind = "AWS::XRay::Group"
    name_property = "GroupName"

    @property
    def physical_resource_id(self) -> str:
        return str(self.attributes.get("GroupARN", self.name))

    def read(self) -> Json | None:
        return WORLD.get().region(self.region).groups.groups.get(self.name)

    def create(self) -> None:
        properties = {**self.properties, "GroupName": self.name}
        group = WORLD.get().region(self.region).groups.create(properties)
        self.attributes["GroupARN"] = group["GroupARN"]

    def change(self) -> None:
        WORLD.get().region(self.region).groups.update({**self.properties, "GroupName": self.name})

    def remove(self) -> None:
        WORLD.get().region(self.region).groups.delete({"GroupName": self.name})


class SamplingRule(Resource, CloudFormationModel):
    """An X-Ray sampling rule; Ref answers its ARN."""

    kind = "AWS::XRay::SamplingRule"

    @property
    def physical_resource_id(self) -> str:
        return str(self.attributes.get("RuleARN", self.name))

    @property
    def _rule(self) -> Json:
        rule: Json = dict(self.properties.get("SamplingRule", {}))
        for number, kind in (("Priority", int), ("FixedRate", float), ("ReservoirSize", int)):
            rule[number] = kind(rule[number])
        rule["Version"] = int(rule.get("Version", 1))
        return {"Attributes": {}, **rule}

    def read(self) -> Json | None:
        rules = WORLD.get().region(self.region).sampling.records()
        own = [rule for rule in rules if rule["SamplingRule"]["RuleName"] == self._rule["RuleName"]]
        return own[0] if own else None

    def create(self) -> None:
        made = WORLD.get().region(self.region).sampling.create(self._rule)
        self.attributes["RuleARN"] = made.fields["RuleARN"]

    def change(self) -> None:
        sampling = WORLD.get().region(self.region).sampling
        sampling.update(self._rule)

    def remove(self) -> None:
        name = self._rule["RuleName"]
        WORLD.get().region(self.region).sampling.delete({"RuleName": name})

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Resource,
        new_resource_name: str,
        cloudformation_json: Json,
        account_id: str,
        region_name: str,
    ) -> Resource:
        # Its name is inside SamplingRule, where moto does not look.
        rule = cloudformation_json["Properties"]["SamplingRule"]
        before = original_resource.properties["SamplingRule"]
        same = rule["RuleName"] == before["RuleName"]
        name = original_resource.name if same else new_resource_name
        return super().update_from_cloudformation_json(
            original_resource,
            name,
            cloudformation_json,
            account_id,
            region_name,
        )


class TransactionSearchConfig(Resource, CloudFormationModel):
    """Transaction Search: X-Ray takes OTLP and keeps spans as log events."""

    kind = "AWS::XRay::TransactionSearchConfig"
    one_of_many = False

    def read(self) -> Json | None:
        on = WORLD.get().region(self.region).destination == "CloudWatchLogs"
        return self.properties if on else None

    def create(self) -> None:
        WORLD.get().region(self.region).destination = "CloudWatchLogs"

    def remove(self) -> None:
        WORLD.get().region(self.region).destination = "XRay"


class LogGroup(Resource, CloudFormationModel):
    """A log group; moto's own resource never changes how long it keeps."""

    kind = "AWS::Logs::LogGroup"
    name_property = "LogGroupName"

    def read(self) -> Json | None:
        found = self._call("DescribeLogGroups", logGroupNamePrefix=self.name)["logGroups"]
        for one in found:
            if one["logGroupName"] == self.name:
                return {"LogGroupName": self.name, "RetentionInDays": one.get("retentionInDays")}
        return None

    def create(self) -> None:
        self._call("CreateLogGroup", logGroupName=self.name)
        self.change()

    def change(self) -> None:
        if "RetentionInDays" in self.properties:
            days = int(self.properties["RetentionInDays"])
            self._call("PutRetentionPolicy", logGroupName=self.name, retentionInDays=days)
        self.attributes["Arn"] = f"arn:aws:logs:{self.region}:{ACCOUNT}:log-group:{self.name}:*"

    def remove(self) -> None:
        self._call("DeleteLogGroup", logGroupName=self.name)


class MetricFilter(Resource, CloudFormationModel):
    """A metric filter of a log group."""

    kind = "AWS::Logs::MetricFilter"
    name_property = "FilterName"

    def read(self) -> Json | None:
        for one in self._call("DescribeMetricFilters", filterNamePrefix=self.name)["metricFilters"]:
            group = self.properties["LogGroupName"]
            if (one["filterName"], one["logGroupName"]) == (self.name, group):
                changes = [_capitals(each) for each in one["metricTransformations"]]
                return {**_capitals(one), "MetricTransformations": changes}
        return None

    def create(self) -> None:
        changes = []
        for one in self.properties["MetricTransformations"]:
            change: Json = {key[0].lower() + key[1:]: value for key, value in one.items()}
            if "Dimensions" in one:
                change["dimensions"] = {pair["Key"]: pair["Value"] for pair in one["Dimensions"]}
            if "DefaultValue" in one:
                change["defaultValue"] = float(one["DefaultValue"])
            change["metricValue"] = str(one["MetricValue"])
            changes.append(change)
        asked = {
            "logGroupName": self.properties["LogGroupName"],
            "filterName": self.name,
            "filterPattern": self.properties["FilterPattern"],
            "metricTransformations": changes,
        }
        metric_filters.check(asked)
        self._call("PutMetricFilter", **asked)

    def remove(self) -> None:
        group = self.properties["LogGroupName"]
        self._call("DeleteMetricFilter", logGroupName=group, filterName=self.name)


class QueryDefinition(Resource, CloudFormationModel):
    """A saved Logs Insights query; several may have one name."""

    kind = "AWS::Logs::QueryDefinition"
    name_property = "Name"

    @property
    def physical_resource_id(self) -> str:
        return str(self.attributes.get("QueryDefinitionId", self.name))

    def read(self) -> Json | None:
        saved = WORLD.get().queries.get(self.physical_resource_id)
        return None if saved is None else _capitals(saved)

    def create(self) -> None:
        identifier = self.attributes.setdefault("QueryDefinitionId", str(uuid.uuid4()))
        WORLD.get().queries[identifier] = {
            "queryDefinitionId": identifier,
            "name": self.name,
            "queryString": self.properties["QueryString"],
            "logGroupNames": list(self.properties.get("LogGroupNames", ())),
        }

    def remove(self) -> None:
        WORLD.get().queries.pop(self.physical_resource_id, None)


class Alarm(Resource, CloudFormationModel):
    """A CloudWatch alarm; its properties are PutMetricAlarm's parameters."""

    kind = "AWS::CloudWatch::Alarm"
    name_property = "AlarmName"

    def read(self) -> Json | None:
        alarms = self._call("DescribeAlarms", AlarmNames=[self.name])["MetricAlarms"]
        return alarms[0] if alarms else None

    def create(self) -> None:
        self._call("PutMetricAlarm", **_numbers({**self.properties, "AlarmName": self.name}))
        self.attributes["Arn"] = f"arn:aws:cloudwatch:{self.region}:{ACCOUNT}:alarm:{self.name}"

    def remove(self) -> None:
        self._call("DeleteAlarms", AlarmNames=[self.name])


class Dashboard(Resource, CloudFormationModel):
    """A CloudWatch dashboard."""

    kind = "AWS::CloudWatch::Dashboard"
    name_property = "DashboardName"

    def read(self) -> Json | None:
        try:
            return self._call("GetDashboard", DashboardName=self.name)
        except AwsError:
            return None

    def create(self) -> None:
        body = self.properties["DashboardBody"]
        self._call("PutDashboard", DashboardName=self.name, DashboardBody=body)

    def remove(self) -> None:
        self._call("DeleteDashboards", DashboardNames=[self.name])


# The name's property is read from the first class for a type, which is moto's.
_MotosDashboard: Any = moto.cloudwatch.models.Dashboard
_MotosDashboard.cloudformation_name_type = Dashboard.cloudformation_name_type


class InsightRule(Resource, CloudFormationModel):
    """A Contributor Insights rule."""

    kind = "AWS::CloudWatch::InsightRule"
    name_property = "RuleName"

    def read(self) -> Json | None:
        for one in self._call("DescribeInsightRules")["InsightRules"]:
            if one["Name"] == self.name:
                state = one["State"]
                return {"RuleName": self.name, "RuleBody": one["Definition"], "RuleState": state}
        return None

    def create(self) -> None:
        body, state = self.properties["RuleBody"], self.properties["RuleState"]
        contributor_insights.parse(body)
        self._call("PutInsightRule", RuleName=self.name, RuleDefinition=body, RuleState=state)

    def remove(self) -> None:
        self._call("DeleteInsightRules", RuleNames=[self.name])


_NUMERIC = frozenset({"Threshold", "Period", "EvaluationPeriods", "DatapointsToAlarm"})


def _numbers(tree: Any) -> Any:
    """CloudFormation's parameters are texts; the API's numbers are not."""
    if isinstance(tree, dict):
        return {
            key: json.loads(one) if key in _NUMERIC and isinstance(one, str) else _numbers(one)
            for key, one in tree.items()
        }
    return [_numbers(one) for one in tree] if isinstance(tree, list) else tree


def _capitals(answer: Json) -> Json:
    """The API's members are `filterName`, CloudFormation's properties `FilterName`."""
    return {key[0].upper() + key[1:]: value for key, value in answer.items()}
