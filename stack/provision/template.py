"""aws/telemetry.yaml: its parameters, the names in it, and a part of it.

CloudFormation resolves and compares; here the text is only looked at and cut.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from stack.errors import StackError

GROUP_FILE = "aws/group.json"
RULE_FILE = "aws/sampling-rule.json"
TEMPLATE_FILE = "aws/telemetry.yaml"

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
    collector: Mapping[str, str], log_route: str, service: str
) -> dict[str, str]:
    """Name the groups and the namespace as the collector does, by its variables.

    `log_route`: `otlp` or `watchtower`, as in `.env`. `service`: whom group, rule and alarms watch.
    Raises StackError where the collector's config does not name them.
    """
    for name in ("CLOUDWATCH_LOG_GROUP", "CLOUDWATCH_NAMESPACE"):
        if name not in collector:
            raise StackError(
                f"the collector's config does not say ${{env:{name}:-…}}, so there is nothing to "
                "provision for it in CloudWatch",
                "put CloudWatch's exporters back",
            )
    group, namespace = collector["CLOUDWATCH_LOG_GROUP"], collector["CLOUDWATCH_NAMESPACE"]
    return {
        "ServiceName": service,
        "LogGroupName": group,
        "MetricNamespace": namespace,
        "MetricsLogGroupName": f"/metrics/{namespace}",
        "LogRoute": log_route,
    }


def service_names(root: Path) -> dict[str, str]:
    """Map each `OTEL_SERVICE_NAME` to the file under `root/services/` that sets it."""
    names = {}
    for path in sorted(root.glob("services/*/otel.env")):
        for line in path.read_text(encoding="utf-8").splitlines():
            key, equals, value = line.partition("=")
            if equals and key.strip() == "OTEL_SERVICE_NAME":
                names[value.strip()] = str(path.relative_to(root))
    return names


def named_services(filter_expression: str) -> list[str]:
    """Return the names in `service("…")` and `service(id(name: "…"))` of an X-Ray filter."""
    return re.findall(r'service\(\s*(?:id\(\s*name\s*:\s*)?"([^"]*)"', filter_expression)
