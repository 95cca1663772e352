"""What `make provision` does: compare what aws/ asks for with what an account has, and change that.

The same calls go to AWS and to the stand-ins; only `Target` tells them apart. Nothing is deleted.
IAM policies and Transaction Search need more rights, or touch the whole account: they are left to
`aws cloudformation deploy` with the same template.
"""

from __future__ import annotations

import difflib
import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stack.cfn import Resource, load_resources
from stack.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

GROUP_FILE = "aws/group.json"
RULE_FILE = "aws/sampling-rule.json"
TEMPLATE_FILE = "aws/telemetry.yaml"

Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Target:
    """An account, or the stand-ins that play one.

    `endpoints` maps a service of boto3 (`xray`, `logs`, `cloudwatch`, `sts`) to a URL; a service
    that is not in it goes to AWS. Without keys boto3 looks for credentials as it always does.
    Without `account` STS is asked.
    """

    region: str
    endpoints: Mapping[str, str] = field(default_factory=dict)
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    account: str | None = None
    # boto3 needs some 50 ms to make a client out of its service descriptions.
    _clients: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def client(self, service: Literal["xray", "logs", "cloudwatch", "sts"]) -> Any:
        if service not in self._clients:
            session = boto3.session.Session(
                aws_access_key_id=self.access_key_id,
                aws_secret_access_key=self.secret_access_key,
                aws_session_token=self.session_token,
                profile_name=self.profile,
                region_name=self.region,
            )
            self._clients[service] = session.client(
                service,
                endpoint_url=self.endpoints.get(service),
                config=Config(
                    connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 3}
                ),
            )
        return self._clients[service]


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
    """What aws/ asks for."""

    group: Group
    rule: SamplingRule
    resources: tuple[Resource, ...]


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


def load_desired(
    root: Path, region: str, account: str, parameters: Mapping[str, Any] | None = None
) -> Desired:
    """Read `root/aws/`; `parameters` are the template's. Raises StackError in one line."""
    group = _load(root, GROUP_FILE, Group)
    rule = _load(root, RULE_FILE, _RuleFile).rule
    resources = load_resources(root / TEMPLATE_FILE, parameters or {}, region, account)
    return Desired(group, rule, tuple(resources))


def template_parameters(collector: Mapping[str, str], log_route: str) -> dict[str, str]:
    """Name the groups and the namespace as the collector does, by its variables.

    `log_route`: `otlp` or `watchtower`, as in `.env`.
    """
    group, namespace = collector["CLOUDWATCH_LOG_GROUP"], collector["CLOUDWATCH_NAMESPACE"]
    return {
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
    close = difflib.get_close_matches(wanted, known, n=1, cutoff=0.4)
    todo = f"did you mean {close[0]!r}? " if close else ""
    return StackError(
        f"{file}: {what}, but no service has that name",
        f"{todo}The services are {', '.join(known)}".removesuffix("."),
    )


def account_of(target: Target) -> str:
    """Return the twelve digits of the account. Raises StackError when the keys are not accepted."""
    if target.account:
        return target.account
    return str(_ask(target, "sts", "get_caller_identity", {})["Account"])


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
            with suppress(_AlreadyThereError):
                _ask(target, call.service, call.operation, call.arguments)


# --- X-Ray


def _plan_group(target: Target, group: Group) -> Change | None:
    wanted = group.model_dump(by_alias=True)
    groups = _list(target, "xray", "get_groups", "Groups", {})
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
    records = _list(target, "xray", "get_sampling_rules", "SamplingRuleRecords", {})
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
    groups = _list(target, "logs", "describe_log_groups", "logGroups", {"logGroupNamePrefix": name})
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
        filters = _list(
            target,
            "logs",
            "describe_metric_filters",
            "metricFilters",
            {"logGroupName": group, "filterNamePrefix": name},
        )
        found = _named(filters, "filterName", name)
    except _NotThereError:
        # The log group is itself still to be created.
        found = None
    call = Call("logs", "put_metric_filter", {"logGroupName": group, "filterName": name} | wanted)
    return _compared("metric filter", name, found, wanted, (call,))


def _plan_insight_rule(target: Target, properties: dict[str, Any]) -> Change | None:
    name, body = properties["RuleName"], json.loads(properties["RuleBody"])
    rules = _list(target, "cloudwatch", "describe_insight_rules", "InsightRules", {})
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
    answer = _ask(target, "cloudwatch", "describe_alarms", {"AlarmNames": [name]})
    found = next(iter(answer["MetricAlarms"]), None)
    call = Call("cloudwatch", "put_metric_alarm", properties)
    return _compared("alarm", name, found, properties, (call,))


def _plan_dashboard(target: Target, properties: dict[str, Any]) -> Change | None:
    name, body = properties["DashboardName"], json.loads(properties["DashboardBody"])
    try:
        answer = _ask(target, "cloudwatch", "get_dashboard", {"DashboardName": name})
        found = {"DashboardBody": json.loads(answer["DashboardBody"])}
    except _NotThereError:
        found = None
    arguments = {"DashboardName": name, "DashboardBody": json.dumps(body)}
    call = Call("cloudwatch", "put_dashboard", arguments)
    return _compared("dashboard", name, found, {"DashboardBody": body}, (call,))


def _plan_query(target: Target, properties: dict[str, Any]) -> Change | None:
    name, text = properties["Name"], properties["QueryString"].strip()
    queries = _list(
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


# --- Asking


class _NotThereError(Exception):
    """What was asked for does not exist."""


class _AlreadyThereError(Exception):
    """The log group that was to be created exists."""


_WRONG_KEY = {
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_NOT_THERE = {"ResourceNotFoundException", "ResourceNotFound", "DashboardNotFoundError"}


def _named(items: Iterable[dict[str, Any]], key: str, name: str) -> dict[str, Any] | None:
    return next((item for item in items if item.get(key) == name), None)


def _list(
    target: Target,
    service: Literal["xray", "logs", "cloudwatch"],
    operation: str,
    key: str,
    arguments: dict[str, Any],
) -> list[dict[str, Any]]:
    """Return the items of every page."""
    token_name = "nextToken" if service == "logs" else "NextToken"
    items: list[dict[str, Any]] = []
    page = arguments
    while True:
        answer = _ask(target, service, operation, page)
        items += answer.get(key, [])
        token = answer.get(token_name)
        if not token:
            return items
        page = {**arguments, token_name: token}


def _ask(
    target: Target,
    service: Literal["xray", "logs", "cloudwatch", "sts"],
    operation: str,
    arguments: dict[str, Any],
) -> dict[str, Any]:
    """Call AWS, with each way to fail told in one line as StackError."""
    place = target.endpoints.get(service) or f"{service} in {target.region}"
    try:
        answer: dict[str, Any] = getattr(target.client(service), operation)(**arguments)
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        if code in _NOT_THERE:
            raise _NotThereError from error
        if code == "ResourceAlreadyExistsException":
            raise _AlreadyThereError from error
        raise StackError(
            f"{place} refused {operation}: {code}: {_one_line(error.response['Error'])}",
            _todo(code, service, operation),
        ) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise StackError(
            "there are no AWS credentials", "set AWS_PROFILE, or run aws configure"
        ) from error
    except ProfileNotFound as error:
        raise StackError(
            f"there is no AWS profile {target.profile!r}", "aws configure list-profiles shows them"
        ) from error
    except NoRegionError as error:
        raise StackError("there is no AWS region", "set AWS_REGION") from error
    except (EndpointConnectionError, ConnectTimeoutError, ReadTimeoutError) as error:
        raise StackError(
            f"{place} does not answer {operation}", "check the network and the address"
        ) from error
    except (BotoCoreError, ValueError) as error:
        raise StackError(f"{operation} at {place}: {' '.join(str(error).split())}") from error
    return answer


def _one_line(error: Mapping[str, Any]) -> str:
    return " ".join(str(error.get("Message", "no reason given")).split()).rstrip(".")


def _todo(code: str, service: str, operation: str) -> str:
    action = "".join(part.capitalize() for part in operation.split("_"))
    if code in {"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"}:
        return f"allow {service}:{action} to the role that you use"
    if "Throttl" in code:
        return "wait a minute and try again"
    if code in _WRONG_KEY:
        return "check the access key and its secret"
    if "Expired" in code:
        return "get new temporary credentials"
    return ""
