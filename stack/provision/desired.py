"""What aws/ asks for: X-Ray's group and sampling rule, and the template's resources."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stack.cfn import Resource, load_resources
from stack.errors import StackError
from stack.suggest import closest

GROUP_FILE = "aws/group.json"
RULE_FILE = "aws/sampling-rule.json"
TEMPLATE_FILE = "aws/telemetry.yaml"

Shape = TypeVar("Shape", bound=BaseModel)


class SamplingRule(BaseModel):
    """`SamplingRule` as X-Ray takes it, with X-Ray's own limits."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    rule_name: str = Field(alias="RuleName", min_length=1, max_length=32)
    resource_arn: str = Field(alias="ResourceARN", min_length=1, max_length=500)
    priority: int = Field(alias="Priority", ge=1, le=9999)
    fixed_rate: float = Field(alias="FixedRate", ge=0, le=1)
    reservoir_size: int = Field(alias="ReservoirSize", ge=0)
    service_name: str = Field(alias="ServiceName", min_length=1, max_length=64)
    service_type: str = Field(alias="ServiceType", min_length=1, max_length=64)
    host: str = Field(alias="Host", min_length=1, max_length=64)
    http_method: str = Field(alias="HTTPMethod", min_length=1, max_length=10)
    url_path: str = Field(alias="URLPath", min_length=1, max_length=128)
    version: Literal[1] = Field(alias="Version")
    attributes: dict[str, str] = Field(alias="Attributes", default_factory=dict, max_length=5)


class _RuleFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: SamplingRule = Field(alias="SamplingRule")


class Group(BaseModel):
    """`CreateGroup` as X-Ray takes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    group_name: str = Field(alias="GroupName", min_length=1, max_length=32)
    filter_expression: str = Field(alias="FilterExpression", min_length=1)


@dataclass(frozen=True, slots=True)
class Desired:
    """All of it."""

    group: Group
    rule: SamplingRule
    resources: tuple[Resource, ...]


def load_desired(
    root: Path, region: str, account: str, parameters: Mapping[str, Any] | None = None
) -> Desired:
    """Read `root/aws/`; `parameters` are the template's. Raises StackError in one line."""
    group = _load(root, GROUP_FILE, Group)
    rule = _load(root, RULE_FILE, _RuleFile).rule
    resources = load_resources(root / TEMPLATE_FILE, parameters or {}, region, account)
    return Desired(group, rule, tuple(resources))


def template_parameters(
    collector: Mapping[str, str], log_route: str, service: str
) -> dict[str, str]:
    """Name the groups and the namespace as the collector does, by its variables.

    `log_route`: `otlp` or `watchtower`, as in `.env`. `service`: whom the alarms watch. Raises
    StackError where the collector's config does not name them.
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


def _load(root: Path, name: str, shape: type[Shape]) -> Shape:
    path = root / name
    try:
        return shape.model_validate_json(path.read_bytes())
    except OSError as error:
        raise StackError(f"{name} cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise StackError(
            f"{name}: {where}: {first['msg']}", f"correct {where} in {name}"
        ) from error


def service_names(root: Path) -> dict[str, str]:
    """Map each `OTEL_SERVICE_NAME` to the file under `root/services/` that sets it."""
    names = {}
    for path in sorted(root.glob("services/*/otel.env")):
        for line in path.read_text(encoding="utf-8").splitlines():
            key, equals, value = line.partition("=")
            if equals and key.strip() == "OTEL_SERVICE_NAME":
                names[value.strip()] = str(path.relative_to(root))
    return names


def check_service_names(desired: Desired, names: Iterable[str]) -> None:
    """Raise StackError when rule or group is about a service that does not exist.

    X-Ray takes any name, and then the rule never applies and the group stays empty, without a word.
    `*` and `?` in the rule's ServiceName match as they do in X-Ray.
    """
    known = sorted(names)
    if not known:
        raise StackError(
            "no service names itself", "set OTEL_SERVICE_NAME in services/<service>/otel.env"
        )
    wanted = desired.rule.service_name
    pattern = re.escape(wanted).replace(r"\*", ".*").replace(r"\?", ".")
    if not any(re.fullmatch(pattern, name) for name in known):
        raise _unknown_service(RULE_FILE, f"ServiceName is {wanted!r}", wanted, known)
    for wanted in named_services(desired.group.filter_expression):
        if wanted not in known:
            raise _unknown_service(GROUP_FILE, f"the filter asks for {wanted!r}", wanted, known)


def named_services(filter_expression: str) -> list[str]:
    """Return the names in `service("…")` and `service(id(name: "…"))` of an X-Ray filter."""
    return re.findall(r'service\(\s*(?:id\(\s*name\s*:\s*)?"([^"]*)"', filter_expression)


def _unknown_service(file: str, what: str, wanted: str, known: Sequence[str]) -> StackError:
    close = closest(wanted, known, cutoff=0.4)
    todo = f"did you mean {close!r}? " if close else ""
    return StackError(
        f"{file}: {what}, but no service has that name",
        f"{todo}The services are {', '.join(known)}".removesuffix("."),
    )
