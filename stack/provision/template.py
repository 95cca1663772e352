"""aws/telemetry.yaml: its parameters, the names in it, and a part of it.

CloudFormation resolves and compares; here the text is only looked at and cut.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from stack.compose_file import COMPOSE_FILE
from stack.errors import StackError

GROUP_FILE = "aws/group.json"
RULE_FILE = "aws/sampling-rule.json"
TEMPLATE_FILE = "aws/telemetry.yaml"

LONGEST_NAMES = 780
"""For the names of services in a metric filter, whose pattern has 1024 characters at most."""

NAMES = {
    "AWS::XRay::Group": "GroupName",
    "AWS::XRay::SamplingRule": "RuleName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::Logs::MetricFilter": "FilterName",
    "AWS::Logs::QueryDefinition": "Name",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::CloudWatch::InsightRule": "RuleName",
}
"""The property that names a resource, by type."""


class Template:
    """A CloudFormation template. Raises StackError when it is none."""

    def __init__(self, text: str, name: str = TEMPLATE_FILE) -> None:
        self.text = text
        try:
            self._root = yaml.compose(text, yaml.SafeLoader)
            self._resources = _members(_members(self._root)["Resources"])
            self.parameters = frozenset(_members(_members(self._root)["Parameters"]))
        except (yaml.YAMLError, KeyError, TypeError) as error:
            why = " ".join(str(error).split())
            raise StackError(
                f"{name} is no CloudFormation template: {why}", f"correct {name}"
            ) from error

    @classmethod
    def read(cls, root: Path) -> Template:
        """The one of this project. Raises StackError."""
        try:
            return cls((root / TEMPLATE_FILE).read_text(encoding="utf-8"))
        except OSError as error:
            raise StackError(
                f"{TEMPLATE_FILE} cannot be read ({error.strerror})", "restore it from git"
            ) from error

    def for_services(self, services: Sequence[str]) -> Template:
        """One with a sampling rule for each service; the first one's is the template's own."""
        root: Any = yaml.compose(self.text, yaml.SafeLoader)
        resources: Any = _members(root)["Resources"]
        own = _members(resources)["SamplingRule"]
        for number, service in enumerate(services[1:], start=2):
            rule = deepcopy(own)
            properties = _members(_members(_members(rule)["Properties"])["SamplingRule"])
            name, given = properties["RuleName"], properties["ServiceName"]
            name.value = f"{name.value}-{number}"
            given.tag, given.value, given.style = "tag:yaml.org,2002:str", service, '"'
            key = yaml.ScalarNode("tag:yaml.org,2002:str", f"SamplingRule{number}")
            resources.value.append((key, rule))
        return Template(str(yaml.serialize(root))) if services[1:] else self

    def names(self, parameters: Mapping[str, str]) -> dict[str, tuple[str, str]]:
        """Type and name of each resource that has a name in NAMES, by logical id."""
        found = {}
        for key, node in self._resources.items():
            kind = str(_members(node)["Type"].value)
            if kind in NAMES:
                properties = _members(_members(node)["Properties"])
                # A sampling rule's properties are one level deeper.
                properties |= _members(properties.get("SamplingRule"))
                name = properties[NAMES[kind]]
                text = str(name.value)
                found[key] = kind, parameters[text] if name.tag == "!Ref" else text
        return found

    def only(self, keys: Collection[str]) -> str:
        """The template with these resources alone, as an import takes them: each to be retained."""
        root: Any = yaml.compose(self.text, yaml.SafeLoader)
        root.value = [pair for pair in root.value if pair[0].value != "Outputs"]
        resources: Any = _members(root)["Resources"]
        resources.value = [pair for pair in resources.value if pair[0].value in keys]
        for node in _members(resources).values():
            if "DeletionPolicy" not in _members(node):
                tag = "tag:yaml.org,2002:str"
                policy = (yaml.ScalarNode(tag, "DeletionPolicy"), yaml.ScalarNode(tag, "Retain"))
                node.value.append(policy)
        return str(yaml.serialize(root))


def _members(node: Any) -> dict[str, Any]:
    return {key.value: value for key, value in node.value} if node is not None else {}


def template_parameters(
    collector: Mapping[str, str], log_route: str, services: Sequence[str]
) -> dict[str, str]:
    """Name the groups and the namespace as the collector does, by its variables.

    `log_route`: `otlp` or `watchtower`, as in `.env`. `services`: whom group, rule and alarms
    watch. Raises StackError where the collector's config does not name them, and for more services
    than a metric filter takes.
    """
    if not services:
        raise StackError(
            "there is no service that people call, so there is nothing to watch",
            "add one: make add-service NAME=orders SOURCE=../orders",
        )
    by_collector = _any(f"($.resource.['service.name'] = \"{one}\")" for one in services)
    by_watchtower = _any(f'($.service = "{one}")' for one in services)
    if len(by_collector) + len(by_watchtower) > LONGEST_NAMES:
        raise StackError(
            f"a metric filter of CloudWatch's has no room for {len(services)} services by name",
            f"take x-verify from those in {COMPOSE_FILE} that no alarm has to watch",
        )
    for name in ("CLOUDWATCH_LOG_GROUP", "CLOUDWATCH_NAMESPACE"):
        if name not in collector:
            raise StackError(
                f"the collector's config does not say ${{env:{name}:-…}}, so there is nothing to "
                "provision for it in CloudWatch",
                "put CloudWatch's exporters back",
            )
    group, namespace = collector["CLOUDWATCH_LOG_GROUP"], collector["CLOUDWATCH_NAMESPACE"]
    return {
        "ServiceName": services[0],
        "GroupFilter": " OR ".join(f'service("{one}")' for one in services),
        "CollectorRecords": by_collector,
        "WatchtowerRecords": by_watchtower,
        "LogGroupName": group,
        "MetricNamespace": namespace,
        "MetricsLogGroupName": f"/metrics/{namespace}",
        "LogRoute": log_route,
    }


def _any(conditions: Iterable[str]) -> str:
    several = [*conditions]
    return several[0] if len(several) == 1 else f"({' || '.join(several)})"


def named_services(filter_expression: str) -> list[str]:
    """Return the names in `service("…")` and `service(id(name: "…"))` of an X-Ray filter."""
    return re.findall(r'service\(\s*(?:id\(\s*name\s*:\s*)?"([^"]*)"', filter_expression)
