"""`compose/compose.yaml`, the one list of what the stack runs, as Docker Compose understands it.

Only the part of Compose's language that the file uses is read; anything else is refused, so that
both runtimes make the same of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from dotenv import dotenv_values
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from stack.errors import StackError, read_committed

COMPOSE_FILE = Path("compose/compose.yaml")

Variables = Mapping[str, str | None]
"""None: a name that may be set, and is not."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEFAULT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*):-([^${}]*)\}")
_PORT = re.compile(
    r"(?P<address>\S+):\$\{(?P<name>[A-Z0-9_]+):-(?P<default>\d+)\}:(?P<target>.+?)"
    r"(?:/(?P<protocol>tcp|udp))?"
)
_ONLY_A_PORT = re.compile(r"\$\{(?P<name>[A-Z0-9_]+):-(?P<default>\d+)\}")

Text = Annotated[
    str | None, BeforeValidator(lambda given: str(given) if isinstance(given, int) else given)
]


class _Shape(BaseModel):
    """What is not named here, as limits of memory, is the engine's alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class EnvFile(_Shape):
    path: str
    required: bool = True


class Healthcheck(_Shape):
    """`test`: a command whose last word is the address that is asked."""

    test: tuple[str, ...] = Field(min_length=2)


class Verify(_Shape):
    """What `up` and `verify` ask a service for, as paths: `path` has it answer well, in a trace.
    `error` does too, and the service then reports an error; it is there with DEBUG_ROUTES=true.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(pattern="^/")
    error: str = Field(default="", pattern="^/|^$")


class Dependency(_Shape):
    condition: Literal["service_started"]
    required: bool = True


class Native(_Shape):
    """What a process needs that a container's image brings along. Paths as seen from the project.

    `venv`: an environment below `.run`, with `requirements` and the `packages` whose folders are
    named; `what` names them for people. With `unlocked`, `requirements` is no lock but what a
    service names itself, and these packages are added where it does not name them.
    `binary`: runs in place of an image's entrypoint. `ports`: those that a container keeps to
    itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    working_dir: str = "."
    venv: str | None = None
    requirements: str | None = None
    what: str = ""
    packages: tuple[str, ...] = ()
    unlocked: tuple[str, ...] = ()
    binary: Literal["collector"] | None = None
    environment: dict[str, Text] = {}
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()


class Service(_Shape):
    """One service, its `${…}` as they are written."""

    command: tuple[str, ...]
    environment: dict[str, Text] = {}
    env_file: tuple[str | EnvFile, ...] = ()
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    healthcheck: Healthcheck | None = None
    depends_on: dict[str, Dependency] = {}
    verify: Verify | None = Field(default=None, alias="x-verify")
    native: Native = Field(alias="x-native")


class Port(BaseModel):
    """`name`: the variable that moves it. `published`: on this machine, `target`: inside."""

    model_config = ConfigDict(frozen=True)

    name: str
    address: str
    published: int
    target: int
    protocol: str = "tcp"


def load_services(root: Path, without: Iterable[str] = ()) -> dict[str, Service]:
    """Every service by name, in an order in which each comes after what it depends on.

    `without`: the files beside the compose file, without `.yaml`, that leave services out.
    Raises StackError that names the place of what is not understood, or a service that needs one
    that is left out.
    """
    found = dict(parse_services(read_committed(root / COMPOSE_FILE)))
    for name in without:
        file = COMPOSE_FILE.with_name(f"{name}.yaml")
        for service in yaml.safe_load(read_committed(root / file))["services"]:
            found.pop(service, None)
        for service, body in found.items():
            for needed, how in body.depends_on.items():
                if how.required and needed not in found:
                    raise StackError(
                        f"{COMPOSE_FILE}: {service} depends on {needed}, which {file} leaves out",
                        f"take {needed} out of its depends_on",
                    )
    return found


@cache
def parse_services(text: str) -> Mapping[str, Service]:
    """Every service of the compose file's text, as `load_services` has them."""
    try:
        tree = yaml.safe_load(text)
        found = {str(name): _service(name, body) for name, body in tree["services"].items()}
    except yaml.YAMLError as broken:
        raise StackError(f"{COMPOSE_FILE}: {' '.join(str(broken).split())}") from None
    except (TypeError, KeyError, AttributeError):
        raise StackError(f"{COMPOSE_FILE} lists no services", "restore it from git") from None
    defaults_of(text)
    return {name: found[name] for name in _in_order(found)}


def _service(name: str, body: Any) -> Service:
    try:
        return Service.model_validate(body, strict=False)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        place = ".".join(str(part) for part in ("services", name, *first["loc"]))
        raise StackError(
            f"{COMPOSE_FILE}: {place}: {first['msg'][0].lower()}{first['msg'][1:]}",
            "write it as the other services have it",
        ) from None


def _in_order(services: Mapping[str, Service]) -> list[str]:
    """Raises StackError for services that wait for each other, or for one that is not there."""
    ordered: list[str] = []

    def add(name: str, waiting: tuple[str, ...]) -> None:
        if name in ordered:
            return
        if name not in services:
            raise StackError(f"{COMPOSE_FILE}: {waiting[-1]} depends on {name}, which is not there")
        if name in waiting:
            raise StackError(f"{COMPOSE_FILE}: {name} depends on itself")
        for needed in services[name].depends_on:
            add(needed, (*waiting, name))
        ordered.append(name)

    for name in services:
        add(name, ())
    return ordered


def defaults_of(text: str) -> dict[str, str]:
    """The default of each `${NAME:-default}`. Raises StackError for a name with two of them."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        for name, default in _DEFAULT.findall(line.partition(" #")[0]):
            known = found.setdefault(name, default)
            if known != default:
                raise StackError(
                    f"{COMPOSE_FILE}: {name} has two defaults, {known!r} and {default!r}",
                    "give it the same one everywhere",
                )
    return found


def default_ports(root: Path) -> dict[str, int]:
    """The ports on this machine by the name of their variable, but for the collector's: those are
    its config's.
    """
    return {
        port.name: port.published
        for name, service in load_services(root).items()
        if name != "collector"
        for port in ports_of(name, service, {})
    }


def ports_of(name: str, service: Service, variables: Variables) -> list[Port]:
    """The ports that a container of the service publishes. Raises StackError."""
    found = []
    for text in service.ports:
        match = _PORT.fullmatch(text)
        if match is None:
            raise StackError(
                f"{COMPOSE_FILE}: services.{name}.ports: {text!r} has no address or no variable",
                f"write 127.0.0.1:${{{name.partition('-')[0].upper()}_PORT:-8080}}:8000",
            )
        found.append(
            Port(
                name=match["name"],
                address=interpolate(match["address"], variables),
                published=int(variables.get(match["name"]) or match["default"]),
                target=int(interpolate(match["target"], variables)),
                protocol=match["protocol"] or "tcp",
            )
        )
    return found


def own_ports(service: Service, variables: Variables) -> dict[str, int]:
    """The ports of `x-native`, by the names of their variables."""
    matches = (_ONLY_A_PORT.fullmatch(text) for text in service.native.ports)
    return {
        match["name"]: int(variables.get(match["name"]) or match["default"])
        for match in matches
        if match
    }


def environment_of(service: Service, folder: Path, variables: Variables) -> dict[str, str]:
    """What a container of the service has, without what `make up` adds.

    `folder`: that of the compose file. Raises StackError for a file that is missing.
    """
    found: dict[str, str | None] = {}
    for entry in service.env_file:
        file = entry if isinstance(entry, EnvFile) else EnvFile(path=entry)
        path = folder / interpolate(file.path, variables)
        if file.required:
            found |= dict(_filled(read_env_file(path, variables), variables))
    found |= dict(_filled(service.environment, variables))
    return {name: value for name, value in found.items() if value is not None}


def _filled(
    environment: Mapping[str, str | None], variables: Variables
) -> Iterator[tuple[str, str | None]]:
    """A name without a value has the variable's."""
    for name, value in environment.items():
        yield name, variables.get(name) if value is None else interpolate(value, variables)


def native_environment(service: Service, variables: Variables) -> dict[str, str]:
    """What a process has in place of that."""
    found = dict(_filled(service.native.environment, variables))
    return {name: value for name, value in found.items() if value is not None}


def read_env_file(path: Path, known: Variables | None = None) -> dict[str, str | None]:
    """The lines of a file of variables as they are written; None for a name alone, which only one
    of `known` may be.

    Raises StackError.
    """
    if not path.is_file():
        raise StackError(f"{path} is missing", "restore it from git")
    values = dotenv_values(path, interpolate=False)
    for name, value in values.items():
        if value is None and name not in (known or {}):
            raise StackError(f"{path} gives {name} no value", "write it as NAME=value")
    return dict(values)


def interpolate(text: str, variables: Variables) -> str:
    """`text` with the variables in it: `${NAME}`, `${NAME:-default}`, `${NAME:+value}`, `$$`.

    An empty variable is as one that is not set. Raises StackError for anything else behind a `$`.
    """
    done, rest = "", text
    while "$" in rest:
        before, _, rest = rest.partition("$")
        done += before
        if rest.startswith("$"):
            done, rest = done + "$", rest[1:]
            continue
        inside, rest = _braced(rest, text)
        name = _NAME.match(inside)
        operator = inside[name.end() :] if name else "?"
        value = (variables.get(name[0]) or "") if name else ""
        if operator.startswith(":-"):
            done += value or interpolate(operator[2:], variables)
        elif operator.startswith(":+"):
            done += interpolate(operator[2:], variables) if value else ""
        elif not operator:
            done += value
        else:
            raise _not_shared(text)
    return done + rest


def _braced(rest: str, text: str) -> tuple[str, str]:
    """What stands between the braces that `rest` begins with, and what is behind them."""
    depth = 0
    for at, letter in enumerate(rest):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth == 0:
            if at == 0:
                break
            return rest[1:at], rest[at + 1 :]
    raise _not_shared(text)


def _not_shared(text: str) -> StackError:
    return StackError(
        f"{text!r} cannot be read by both runtimes",
        "write ${NAME}, ${NAME:-default} or ${NAME:+value}; $$ is a $",
    )
