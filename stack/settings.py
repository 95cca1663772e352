"""What the user chose: `.env` and the environment, checked before anything starts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
)

from stack import workspace
from stack.access import Access
from stack.collector_config.text import CONFIG_FILE, env_defaults, env_required, parse, read
from stack.compose_file import default_ports
from stack.env_file import (
    ENV_FILE,
    check_known,
    documented_names,
    read_env_file,
    read_key_files,
    read_names,
)
from stack.errors import StackError, quoted
from stack.fragments import all_variables, load, variables
from stack.key_shapes import SECRET_NAME, check_misplaced, check_shapes
from stack.vendors import set_by_the_stack, settings_kinds
from stack.vendors.model import HIGHEST_PORT, Own, Port, VendorSettings
from stack.workspace import FORM, PORT

ROOT = Path(__file__).resolve().parent.parent


def _names(value: object) -> object:
    """Names apart from each other by commas or blanks, each once."""
    if isinstance(value, str):
        return tuple(dict.fromkeys(value.replace(",", " ").split()))
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


def _over_defaults(given: Mapping[str, object]) -> dict[str, object]:
    return {**_default_ports(), **given}


IDENTITY = ("PROJECT", "RUN_DIR")
"""By these a machine's stacks are told apart."""

SET_BY_THE_STACK = {"TELEMETRY_DIR": "RUN_DIR", "QUEUE_DIR": "RUN_DIR", **set_by_the_stack()}
"""Variables of the collector's config whose values follow from another setting."""

REGION = "us-east-1"
"""Where a collector's config that sends nothing to AWS names none: what plays AWS wants one."""


class Settings(BaseModel):
    """Every name that `.env` may hold, in lower case; those of a vendor are in its own settings,
    see `of`. Ports of the collector have their defaults in its config file; see
    `Settings.collector`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    runtime: Literal["docker", "native"] | None = None
    deployment_environment: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    ] = "local"
    project: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")] | None = None
    """None: named after the folder, see `stack.services.plan_to_stop`."""
    run_dir: Path = Path(".run")
    port_offset: Annotated[int, Field(ge=0, le=HIGHEST_PORT)] = 0
    """Added to each port that has no number of its own in `.env` or the environment."""
    ports: Annotated[dict[str, Port], BeforeValidator(_over_defaults)] = Field(
        default={}, validate_default=True
    )
    """By their names in `.env`; the defaults are those of the compose file. The collector's are in
    `collector`."""
    sample_app: Literal["on", "off"] = "on"
    """Off: the compose file's other services alone."""
    page: Literal["on", "off"] | None = None
    """None: on where there is Node to build it with, or an image with Node."""
    public_url: Annotated[str, StringConstraints(pattern=FORM)] | None = None
    """Where browsers reach a port of this machine, with `{port}` in its place; None: under
    127.0.0.1. In Gitpod and Codespaces it is known."""
    page_requests: Literal["same-origin", "direct"] | None = None
    """Whether the page asks its own server for what the backend has, or the backend. None: its
    server, where there is a `public_url`."""
    web_concurrency: Annotated[int, Field(ge=1, le=64)] = 2
    collector_bin: Path | None = None
    collector_config: Path = CONFIG_FILE
    collector_image: str | None = None
    aws_hop_port: Port = 4319
    """For a collector that is not our build: of its way to AWS, from itself to itself."""
    python_image: str | None = None
    go_image: str | None = None
    node_image: str | None = None
    traces_sampler: Literal["always_on", "xray_remote"] = "always_on"
    trust_callers: Literal["on", "off"] = "off"
    """Whether a caller of the backend that does not sample its trace leaves ours out too."""
    log_route: Literal["otlp", "watchtower"] = "otlp"
    trusted_proxies: Annotated[int, Field(ge=0, le=8)] = 0
    """How many proxies before the services write X-Forwarded-For; 0 believes none."""
    client_address: Literal["full", "network", "none"] = "full"
    otlp_access: Annotated[
        tuple[Literal["tls", "mtls", "token", "open"], ...], BeforeValidator(_names)
    ] = ()
    otlp_server_secrets: Path = Path(".run/access/server")
    otlp_client_secrets: Path = Path(".run/access/client")
    fragments: Names = Field(default=(), alias="with")
    """Other vendors, by their file in collector/vendors."""
    of_vendors: tuple[VendorSettings, ...] = Field(
        default_factory=lambda: tuple(kind() for kind in settings_kinds()), repr=False
    )
    """One of each class in `stack.vendors.settings_kinds`."""
    collector: dict[str, str] = {}
    """What `${env:…}` in the collector's config is replaced by: its defaults, and what the user
    set instead."""
    config_values: dict[str, str] = Field(default={}, repr=False)
    """What the user set besides, of what `fragments` and the collector's config name; keys are
    among it."""
    key_files: tuple[Path, ...] = ()
    """The files that keys were read from."""
    idle: tuple[str, ...] = ()
    """What `.env` sets, and the collector's config as it is now does not ask for."""
    ignored: tuple[str, ...] = ()
    """What is to be said of the names in `.env` that nobody knows, a sentence each."""

    def of(self, kind: type[Own]) -> Own:
        """A vendor's own settings, by their class."""
        return next(own for own in self.of_vendors if isinstance(own, kind))

    @property
    def access(self) -> Access:
        """Who may send OTLP."""
        return Access(
            self.otlp_access, ROOT / self.otlp_server_secrets, ROOT / self.otlp_client_secrets
        )

    @property
    def aws_region(self) -> str:
        """As the collector's config has it, unless the user set another."""
        return self.collector["AWS_REGION"]

    @property
    def same_origin(self) -> bool:
        """Whether the page's own server takes all that the page asks for."""
        return (self.page_requests or (self.public_url and "same-origin")) == "same-origin"

    def outside(self, port: int) -> str | None:
        """Where browsers reach a port, None where it has no other name than this machine's."""
        return self.public_url.replace(PORT, str(port)) if self.public_url else None

    def port(self, name: str) -> int:
        """A port by the name of its variable, for example `OTLP_HTTP_PORT`.

        Raises StackError where the collector's config has a fixed port in its place, or none.
        """
        if name in self.ports:
            return self.ports[name]
        if name not in self.collector:
            raise StackError(
                f"{self.collector_config} does not say ${{env:{name}:-…}}, and by that name the "
                "stack finds the port",
                "write the port there so, with its number behind :-; `make import` turns a config "
                "from elsewhere into our form",
            )
        return int(self.collector[name])


def load_settings(root: Path = ROOT, environ: Mapping[str, str] | None = None) -> Settings:
    """Read `root/.env` under the environment: a variable that is set there wins. A key may be in a
    file of its own instead, which `<NAME>_FILE` names, seen from `root`.

    Raises StackError that names the line for an unknown name, an empty value or one that cannot
    be right.
    """
    environ = os.environ if environ is None else environ
    env_file = root / ENV_FILE
    from_file = read_env_file(env_file)
    own = own_names()
    config = _collector_config(root, from_file, environ)
    text = read(config)
    defaults = env_defaults(text)
    if not defaults:
        parse(text, config)  # an emptied file is told as such
    defaults.setdefault("AWS_REGION", REGION)
    required = set(env_required(text))
    others = all_variables(root) | required
    asked = own | set(defaults) | others
    # An exporter that is taken out of the config takes its names along, and swapping a vendor is an
    # edit of that file alone.
    known = asked | documented_names(root)
    pointers = {f"{name}_FILE" for name in known if SECRET_NAME.search(name)} - known
    ignored: list[str] = []
    for name, (_, line) in from_file.items():
        ignored.append(check_known(name, line, known | pointers))

    values = workspace.settings_of(environ)
    origins = dict.fromkeys(values, "the workspace's variables")
    # By line: of several mistakes the first is told, and the same one each time.
    lines = {name: line for name, (_, line) in from_file.items()}
    for name in sorted(asked | pointers, key=lambda name: (lines.get(name, 0), name)):
        if name in from_file:
            value, line = from_file[name]
            if value == "":
                raise StackError(
                    f"{name} is empty ({ENV_FILE} line {line})",
                    "give it a value, or take the line out",
                )
            values[name], origins[name] = value, f"{ENV_FILE} line {line}"
        if environ.get(name):
            values[name], origins[name] = environ[name], "environment"

    key_files = read_key_files(pointers & values.keys(), values, origins, root)
    check_misplaced(own | set(defaults), values, origins)
    check_shapes(values, origins)
    for name in from_file.keys() & SET_BY_THE_STACK.keys():
        raise StackError(
            f"{name} does not belong in {ENV_FILE} (line {lines[name]})",
            f"{SET_BY_THE_STACK[name]} decides it",
        )
    collector = {name: values.get(name, default) for name, default in defaults.items()}
    _check_ports(collector, origins)
    _check_bind(collector, origins)
    fields = {n.lower(): value for n, value in values.items() if n in own - _default_ports().keys()}
    try:
        of_vendors = tuple(_take(kind, fields) for kind in settings_kinds())
        settings = Settings(
            collector=collector,
            of_vendors=of_vendors,
            ports={n: value for n, value in values.items() if n in _default_ports()},  # type: ignore[misc]
            **fields,  # type: ignore[arg-type]
        )
    except ValidationError as invalid:
        raise _refused(invalid, origins) from None
    _check_open(settings, origins)
    by_themselves = (name for own in of_vendors for name in own.fragments)
    merged = tuple(dict.fromkeys((*settings.fragments, *by_themselves)))
    settings = settings.model_copy(update={"fragments": merged})
    fragments = [variables(load(name, root)) for name in settings.fragments]
    wanted = {name: default for fragment in fragments for name, default in fragment.items()}
    named = {
        name: value for name, value in values.items() if name in wanted.keys() | required - own
    }
    settings, named = _moved(settings, named, wanted, origins)
    idle = tuple(sorted(from_file.keys() & (known - asked)))
    return settings.model_copy(
        update={
            "config_values": named,
            "key_files": key_files,
            "idle": idle,
            "ignored": tuple(filter(None, ignored)),
        }
    )


def which_stack(root: Path = ROOT, environ: Mapping[str, str] | None = None) -> Settings:
    """Which stack of this machine is meant, and defaults for all else: enough to stop it, when
    `.env` or the collector's config cannot be read any more.

    Raises StackError for one of those names that cannot be right.
    """
    environ = os.environ if environ is None else environ
    written = read_names(root / ENV_FILE, IDENTITY)
    values = {name: environ.get(name) or written.get(name) for name in IDENTITY}
    origins = {name: "environment" if environ.get(name) else ENV_FILE for name in IDENTITY}
    fields = {name.lower(): value for name, value in values.items() if value}
    try:
        return Settings(**fields)  # type: ignore[arg-type]
    except ValidationError as invalid:
        raise _refused(invalid, origins) from None


def _refused(invalid: ValidationError, origins: Mapping[str, str]) -> StackError:
    first = invalid.errors()[0]
    if not first["loc"]:
        return StackError(first["msg"].removeprefix("Value error, "), "set both")
    name = str(first["loc"][1 if first["loc"][0] == "ports" else 0]).upper()
    # A key that ended up under a wrong name must not be printed.
    given = quoted(str(first["input"]))
    said = first["msg"]
    return StackError(
        f"{name} cannot be {given} ({origins[name]}): {said[0].lower()}{said[1:]}",
        f"put {name} right",
    )


def own_names() -> set[str]:
    """What a setting is called in `.env`."""
    kinds: tuple[type[BaseModel], ...] = (Settings, *settings_kinds())
    return {*_default_ports(), *(name for kind in kinds for name in _fields(kind))}


def _fields(kind: type[BaseModel]) -> dict[str, str]:
    """The fields that are one setting each, by its name."""
    others = {"of_vendors", "collector", "config_values", "key_files", "idle", "ignored", "ports"}
    return {
        (field.alias or name).upper(): name
        for name, field in kind.model_fields.items()
        if name not in others
    }


def _default_ports() -> dict[str, int]:
    """Those of the compose file that neither a vendor's module nor the collector's config has."""
    of_vendors = {name for kind in settings_kinds() for name in _fields(kind)}
    return {name: port for name, port in default_ports(ROOT).items() if name not in of_vendors}


def given_names(settings: Settings) -> dict[str, str | None]:
    """Every setting that is one word, and every port, as text. Holds keys."""
    found: dict[str, str | None] = {name: str(port) for name, port in settings.ports.items()}
    for group in (settings, *settings.of_vendors):
        for name, field in _fields(type(group)).items():
            value = getattr(group, field)
            if isinstance(value, SecretStr):
                found[name] = value.get_secret_value()
            elif value is None or isinstance(value, str | int | Path):
                found[name] = None if value is None else str(value)
    return found


def _take(kind: type[Own], fields: dict[str, str]) -> Own:
    """Move a vendor's own from `fields` into its settings."""
    return kind(**{name: fields.pop(name) for name in kind.model_fields if name in fields})


def _collector_config(
    root: Path, from_file: Mapping[str, tuple[str, int]], environ: Mapping[str, str]
) -> Path:
    name = "COLLECTOR_CONFIG"
    value, line = from_file.get(name, ("", 0))
    chosen = environ.get(name) or value or CONFIG_FILE
    origin = "environment" if environ.get(name) else f"{ENV_FILE} line {line}"
    check_misplaced([name], {name: str(chosen)}, {name: origin})
    return root / chosen


def _check_ports(collector: Mapping[str, str], origins: Mapping[str, str]) -> None:
    for name, value in collector.items():
        if name.endswith("_PORT") and not (
            re.fullmatch(r"[0-9]{1,5}", value) and 0 < int(value) <= HIGHEST_PORT
        ):
            raise StackError(
                f"{name} cannot be {quoted(value)} ({origins.get(name, CONFIG_FILE)})",
                "a port is a number from 1 to 65535",
            )


def _moved(
    settings: Settings,
    named: dict[str, str],
    wanted: Mapping[str, str | None],
    origins: Mapping[str, str],
) -> tuple[Settings, dict[str, str]]:
    """`settings` and `named` with PORT_OFFSET added to every port that nobody gave a number.

    `wanted`: the defaults of what `settings.fragments` name. Raises StackError for a port that
    would be none.
    """
    offset = settings.port_offset
    if not offset:
        return settings, named

    def move(name: str, default: int) -> int:
        if default + offset > HIGHEST_PORT:
            raise StackError(
                f"PORT_OFFSET {offset} moves {name} from {default} to {default + offset} "
                f"({origins['PORT_OFFSET']}), and {HIGHEST_PORT} is the last port",
                f"choose at most {HIGHEST_PORT - default}, or give {name} a number of its own",
            )
        return default + offset

    def is_moved(name: str) -> bool:
        return name.endswith("_PORT") and name not in origins

    def moved(group: BaseModel) -> dict[str, int]:
        return {
            name: move(name.upper(), getattr(group, name))
            for name in type(group).model_fields
            if is_moved(name.upper())
        }

    ports = {
        name: move(name, port) if is_moved(name) else port for name, port in settings.ports.items()
    }
    collector = {
        name: str(move(name, int(value))) if is_moved(name) else value
        for name, value in settings.collector.items()
    }
    others = {
        name: str(move(name, int(default)))
        for name, default in wanted.items()
        if is_moved(name) and name not in collector and default and default.isdigit()
    }
    of_vendors = tuple(own.model_copy(update=moved(own)) for own in settings.of_vendors)
    own = {**moved(settings), "ports": ports, "of_vendors": of_vendors, "collector": collector}
    return (
        settings.model_copy(update=own),
        {**named, **others},
    )


LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 - compared


def _check_bind(collector: Mapping[str, str], origins: Mapping[str, str]) -> None:
    if collector.get("COLLECTOR_BIND", LOOPBACK) != LOOPBACK:
        raise StackError(
            "COLLECTOR_BIND would open every port of the collector, also the one that signs for "
            f"AWS ({origins['COLLECTOR_BIND']})",
            "OTLP_BIND opens those of OTLP alone",
        )
    bind = collector.get("OTLP_BIND", LOOPBACK)
    if bind not in {LOOPBACK, EVERYWHERE}:
        raise StackError(
            f"OTLP_BIND cannot be {bind!r} ({origins['OTLP_BIND']})",
            f"{EVERYWHERE} is every address of this machine, {LOOPBACK} only itself; a firewall "
            "chooses among them",
        )


def _check_open(settings: Settings, origins: Mapping[str, str]) -> None:
    """Nobody opens a port to the network without a word about who may use it."""
    access = settings.access
    if "open" in access.ways and access.restricted:
        raise StackError(
            f"OTLP_ACCESS is both open and restricted ({origins['OTLP_ACCESS']})",
            "keep one of them",
        )
    asked = access.mutual or (access.encrypted and access.by_token)
    beyond = settings.collector.get("OTLP_BIND", LOOPBACK) != LOOPBACK
    if beyond and not asked and "open" not in access.ways:
        raise StackError(
            "OTLP_BIND lets other machines send, and OTLP_ACCESS does not ask them who they are "
            f"({origins['OTLP_BIND']})",
            "set OTLP_ACCESS=mtls or tls,token; OTLP_ACCESS=open takes from everybody",
        )
