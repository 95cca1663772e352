"""What puts a service that runs elsewhere under the stack: its variables, and how to write them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import yaml

from stack.access import SECRETS_DIGEST
from stack.errors import StackError, quoted
from stack.services.added import ENDPOINT, SECRETS_INSIDE, sampler
from stack.services.model import COLLECTOR_HOSTS, EMULATOR_HOSTS, Plan
from stack.vendors import vendors

DISTRO = "otel_stack"
HEALTH_CHECKS = r"/(?:health|healthz|health-check|healthcheck|livez|readyz)/?(?:\?|$)"
"""What the distro keeps out of the traces, as its defaults have it; it is not installed here."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Place(StrEnum):
    """Where the service runs."""

    HOST = "host"
    CONTAINER = "container"


class Format(StrEnum):
    """`docker`: a file for `docker run --env-file`, which takes quotes for a part of the value."""

    EXPORT = "export"
    DOTENV = "dotenv"
    COMPOSE = "compose"
    DOCKER = "docker"
    JSON = "json"

    @property
    def usual_place(self) -> Place:
        return Place.CONTAINER if self in {Format.COMPOSE, Format.DOCKER} else Place.HOST


@dataclass(frozen=True)
class ServiceEnv:
    """`variables`: may hold a token. `network`: the one that a container has to be in; `host` is
    this machine's. `secrets`: the folder that a container needs at `SECRETS_INSIDE`. `left_out`:
    what was asked for and is not there, and why.
    """

    service: str
    variables: Mapping[str, str] = field(repr=False)
    network: str
    secrets: Path | None = None
    left_out: tuple[str, ...] = ()


def service_env(plan: Plan, service: str, place: Place, sdks: Iterable[str] = ()) -> ServiceEnv:
    """Of a service called `service`. `sdks`: vendors' own that its code uses; they get their
    emulators' addresses and keys.

    Raises StackError for a name that cannot be one, and for an SDK that nothing here emulates.
    """
    if not _NAME.fullmatch(service):
        raise StackError(
            f"a service cannot be called {quoted(service)}",
            "begin with a letter or digit, and use letters, digits, '.', '_' and '-', 63 at most",
        )
    inside = place is Place.CONTAINER
    # A native stack has no network of its own: a container shares the machine's.
    runtime = "docker" if inside and plan.runtime == "docker" else "native"
    settings, access = plan.settings, plan.access
    secrets = access.sender_variables(SECRETS_INSIDE if inside else str(access.client))
    secrets.pop(SECRETS_DIGEST, None)
    for_sdks, left_out = _sdks(plan, EMULATOR_HOSTS[runtime], sdks)
    variables = {
        "OTEL_SERVICE_NAME": service,
        "OTEL_RESOURCE_ATTRIBUTES": f"deployment.environment={settings.deployment_environment}",
        ENDPOINT: f"{access.scheme}://{COLLECTOR_HOSTS[runtime]}:{settings.port('OTLP_HTTP_PORT')}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_PYTHON_DISTRO": DISTRO,
        "OTEL_PYTHON_CONFIGURATOR": DISTRO,
        **secrets,
        **for_sdks,
    }
    if settings.traces_sampler == "xray_remote":
        # In containers the port that X-Ray's rules are asked for by is not published.
        if runtime == plan.runtime:
            variables |= sampler(plan, trust_callers=True)
        else:
            left_out.append("X-Ray's sampling rules: only containers of the stack may ask for them")
    return ServiceEnv(
        service,
        variables,
        f"{plan.project}_default" if runtime == "docker" else "host",
        access.client if inside and access.encrypted else None,
        tuple(left_out),
    )


def _sdks(plan: Plan, host: str, sdks: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    found: dict[str, str] = {}
    left_out = []
    known = {sdk: one for one in vendors(plan.settings, host) for sdk in one.sdks}
    for sdk in sdks:
        if sdk not in known:
            raise StackError(f"no vendor has an SDK called {quoted(sdk)}", f"name {_or(known)}")
        vendor = known[sdk]
        if vendor.live:
            left_out.append(f"{sdk}: {vendor.why}, so it needs keys of its own")
        found |= {} if vendor.live else vendor.sdks[sdk]
    return found, left_out


def _or(names: Iterable[str]) -> str:
    return " or ".join(sorted(names))


def written(env: ServiceEnv, form: Format) -> str:
    """`env` in one of the formats, with its last newline."""
    return _WRITERS[form](env)


def _lines(line: Callable[[str, str], str]) -> Callable[[ServiceEnv], str]:
    return lambda env: "".join(f"{line(name, value)}\n" for name, value in env.variables.items())


def _single_quoted(value: str) -> str:
    # Without quotes dotenv's readers replace ${…}; in them each takes \' its own way.
    quoted_value = value.replace("'", r"\'")
    return f"'{quoted_value}'" if re.search(r"[^\w./:,=%@+-]", value) else value


def _compose(env: ServiceEnv) -> str:
    # To Compose a single $ is a variable's name.
    variables = {name: value.replace("$", "$$") for name, value in env.variables.items()}
    service: dict[str, object] = {"environment": variables}
    text: dict[str, object] = {"services": {env.service: service}}
    if env.secrets:
        service["volumes"] = [f"{env.secrets}:{SECRETS_INSIDE}:ro"]
    if env.network == "host":
        service["network_mode"] = "host"
    else:
        service["networks"] = ["otel-stack"]
        text["networks"] = {"otel-stack": {"name": env.network, "external": True}}
    return yaml.safe_dump(text, sort_keys=False, width=1000)


_WRITERS: Mapping[Format, Callable[[ServiceEnv], str]] = {
    Format.EXPORT: _lines(lambda name, value: f"export {name}={shlex.quote(value)}"),
    Format.DOTENV: _lines(lambda name, value: f"{name}={_single_quoted(value)}"),
    Format.DOCKER: _lines(lambda name, value: f"{name}={value}"),
    Format.COMPOSE: _compose,
    Format.JSON: lambda env: json.dumps(dict(env.variables), indent=2) + "\n",
}
