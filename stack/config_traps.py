"""What the collector accepts in its config and then loses data by, or listens too widely.

Its own `validate` says nothing about any of this: each trap here was seen to pass it.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import yaml

from stack.collector_config import KINDS, component_type, load, shown
from stack.errors import StackError
from stack.fragments import APPENDED
from stack.routes import LOCAL_RECORD, LOOPBACK, routes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

Keys = tuple[str, ...]

RETENTION_DAYS = frozenset(
    (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922)
) | {0, 3288, 3653}
"""What CloudWatch takes; 0 is the exporters' own word for "leave it alone"."""

NO_QUEUE_OF_THEIR_OWN = frozenset({"awsxray", "awsemf"})
NOT_A_VENDOR = frozenset({"debug", "nop", "file"})
OTLP_HTTP = frozenset({"otlp_http", "otlphttp"})
OTLP_GRPC = frozenset({"otlp_grpc", "otlp"})
LOOKED_AT_BY_HAND = frozenset({"debug"})
"""Defined for whoever wants it in a pipeline for a while."""

FILE_KEYS = frozenset({"ca_file", "cert_file", "key_file", "client_ca_file"})
SECRET_KEYS = frozenset({"token", "password"})
KEY_HEADER = re.compile(r"key|token|team|auth|secret|licen[cs]e", re.IGNORECASE)

_REFERENCE = re.compile(
    r"\$\$|\$\{(?:env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}"
)


@dataclass(frozen=True)
class Trap:
    """One thing to put right. `where` is `file:line`, or the file where no line can be named.

    A `problem` loses data or gets nowhere; a `warning` may be meant.
    """

    severity: Literal["problem", "warning"]
    where: str
    what: str
    todo: str

    def error(self) -> StackError:
        return StackError(f"{self.where}: {self.what}", self.todo)


def find_traps(
    files: Sequence[Path], variables: Mapping[str, str], root: Path, *, native: bool
) -> list[Trap]:
    """Every trap in the config that `files` make together: the config, then vendors' fragments.

    `variables` are those that the collector gets; paths in the config are seen from `root`.
    Without `native` the config runs in a container: its files are not looked for here, and it has
    to listen beyond loopback. Raises StackError for a file that cannot be read as YAML.
    """
    config = read(files, variables)
    look = _Look(config, root, native=native)
    traps = [trap for find in _TRAPS for trap in find(look)]
    return sorted(traps, key=lambda trap: (trap.severity, _natural(trap.where)))


@dataclass
class Config:
    """A config with its variables replaced.

    `lines`: `file:line` of a key by its path. `unset`: variables that had no value, by the path
    of the scalar that names them.
    """

    tree: dict[str, Any] = field(default_factory=dict)
    lines: dict[Keys, str] = field(default_factory=dict)
    unset: dict[Keys, list[str]] = field(default_factory=dict)

    def at(self, keys: Keys) -> str:
        """Where the last of `keys` that the files hold stands."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return self.lines.get(keys, "")

    def section(self, kind: str) -> dict[str, Any]:
        found = self.tree.get(kind)
        return found if isinstance(found, dict) else {}


def read(files: Sequence[Path], variables: Mapping[str, str]) -> Config:
    """`files` merged as `make up WITH=…` does: maps by key, `service.extensions` added to.

    `${env:NAME}` and `${env:NAME:-default}` are replaced from `variables`; one that is not there
    becomes empty. Raises StackError.
    """
    config = Config()
    for file in files:
        load(file)  # says in one line what is broken, and where
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        tree = _value(config, node, (), file, variables)
        if isinstance(tree, dict):
            config.tree = _merged(config.tree, tree)
    return config


def _merged(first: dict[str, Any], second: dict[str, Any], keys: Keys = ()) -> dict[str, Any]:
    result = dict(first)
    for key, value in second.items():
        known, below = result.get(key), (*keys, key)
        if isinstance(known, dict) and isinstance(value, dict):
            result[key] = _merged(known, value, below)
        elif below == APPENDED and isinstance(known, list) and isinstance(value, list):
            result[key] = [*known, *value]
        else:
            result[key] = value
    return result


def _value(
    config: Config, node: yaml.Node | None, keys: Keys, file: Path, variables: Mapping[str, str]
) -> Any:
    constructor = yaml.constructor.SafeConstructor()
    if isinstance(node, yaml.MappingNode):
        constructor.flatten_mapping(node)
        found = {}
        for key, value in node.value:
            below = (*keys, str(key.value))
            config.lines[below] = f"{shown(file)}:{key.start_mark.line + 1}"
            found[str(key.value)] = _value(config, value, below, file, variables)
        return found
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            below = (*keys, str(index))
            config.lines[below] = f"{shown(file)}:{item.start_mark.line + 1}"
            items.append(_value(config, item, below, file, variables))
        return items
    if node is None:
        return None
    if "$" not in str(node.value):
        return constructor.construct_object(node)
    missing: list[str] = []
    text = expand(str(node.value), variables, missing)
    if missing:
        config.unset[keys] = missing
    # A whole scalar that is one variable takes the variable's type, as in the collector.
    whole = _REFERENCE.fullmatch(str(node.value))
    return yaml.safe_load(text) if whole and text and _plain(text) else text


def expand(text: str, variables: Mapping[str, str], missing: list[str] | None = None) -> str:
    """`text` with its variables replaced; those without a value become "" and join `missing`."""

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        # The default is for an unset variable: an empty one stays empty, and is as bad.
        value = variables.get(match["name"], match["default"])
        if not value and match["default"] != "" and missing is not None:
            missing.append(match["name"])
        return value or ""

    return _REFERENCE.sub(replace, text)


def _plain(text: str) -> bool:
    return re.fullmatch(r"[0-9.]+|true|false", text) is not None


def _natural(where: str) -> tuple[str, int]:
    file, _, line = where.rpartition(":")
    return (file, int(line)) if line.isdigit() else (where, 0)


class _Look:
    """What the traps share: who is used, who is a hop, what stands where."""

    def __init__(self, config: Config, root: Path, *, native: bool) -> None:
        self.config = config
        self.root = root
        self.native = native
        service = config.section("service")
        pipelines = service.get("pipelines")
        self.pipelines: dict[str, dict[str, Any]] = {
            name: body
            for name, body in (pipelines if isinstance(pipelines, dict) else {}).items()
            if isinstance(body, dict)
        }
        self.extensions: list[str] = service.get("extensions") or []
        # Complete pipelines alone have routes; the collector itself refuses the others.
        whole = {
            name: body
            for name, body in self.pipelines.items()
            if body.get("receivers") and body.get("exporters")
        }
        tree = {**config.tree, "service": {**service, "pipelines": whole}}
        tree |= {kind: config.section(kind) for kind in KINDS}
        try:
            found = routes(tree)
        except ValueError:
            found = []  # a port that is no number; `_no_url` says where
        self.routes = [
            route
            for route in found
            if route.vendor != LOCAL_RECORD and component_type(route.exporter) not in NOT_A_VENDOR
        ]

    def used(self, kind: str) -> set[str]:
        """The components of `kind` that pipelines (for extensions: the service) name."""
        if kind == "extensions":
            return set(self.extensions)
        roles = ("exporters", "receivers") if kind == "connectors" else (kind,)
        return {
            name
            for body in self.pipelines.values()
            for role in roles
            for name in body.get(role) or []
        }

    def components(self, *kinds: str) -> Iterator[tuple[Keys, dict[str, Any]]]:
        """Those that are used: kind and name, and their settings."""
        for kind in kinds:
            used = self.used(kind)
            for name, body in self.config.section(kind).items():
                if name in used:
                    yield (kind, name), body if isinstance(body, dict) else {}

    def trap(
        self, severity: Literal["problem", "warning"], keys: Keys, what: str, todo: str
    ) -> Trap:
        return Trap(severity, self.config.at(keys), what, todo)


def _called(keys: Keys) -> str:
    """`exporter otlp_http/honeycomb`."""
    return f"{keys[0].removesuffix('s')} {keys[1]}"


def _walk(value: Any, keys: Keys) -> Iterator[tuple[Keys, Any]]:
    """Every value below, with its path."""
    yield keys, value
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _walk(below, (*keys, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _walk(below, (*keys, str(index)))


def _empty_keys(look: _Look) -> Iterator[Trap]:
    for owner, body in look.components("exporters", "extensions"):
        for keys, value in _walk(body, owner):
            in_header = "headers" in keys[2:-1]
            if not in_header and keys[-1] not in SECRET_KEYS:
                continue
            if isinstance(value, dict | list):
                continue
            unset = look.config.unset.get(keys, [])
            # `Bearer ${env:TOKEN}` is not empty, and as useless.
            if not unset and value not in (None, ""):
                continue
            name = keys[-1]
            if unset:
                reason = f"{' and '.join(unset)} {'is' if len(unset) == 1 else 'are'} not set"
                todo = f"set {unset[0]} in .env"
            else:
                reason, todo = "it has no value", "give it one, or take the line out"
            needed = not in_header or KEY_HEADER.search("/".join(keys[2:]))
            yield look.trap(
                "problem" if needed else "warning",
                keys,
                f"{_called(owner)} sends {'header ' if in_header else ''}{name} empty: {reason}",
                todo,
            )


def _undefined_helpers(look: _Look) -> Iterator[Trap]:
    defined, running = look.config.section("extensions"), set(look.extensions)
    for owner, body in look.components("receivers", "processors", "exporters", "extensions"):
        for keys, value in _walk(body, owner):
            if keys[-1] not in {"authenticator", "storage"} or not isinstance(value, str):
                continue
            role = "authenticator" if keys[-1] == "authenticator" else "storage"
            if value not in defined:
                known = ", ".join(sorted(defined)) or "none"
                yield look.trap(
                    "problem",
                    keys,
                    f"{_called(owner)} uses the {role} {value}, which is not defined",
                    f"define it under extensions (there: {known})",
                )
            elif value not in running:
                yield look.trap(
                    "problem",
                    keys,
                    f"{_called(owner)} uses the {role} {value}, which is not started",
                    f"name {value} under service.extensions",
                )


def _missing_files(look: _Look) -> Iterator[Trap]:
    if not look.native:
        return
    for owner, body in look.components("receivers", "exporters", "extensions"):
        for keys, value in _walk(body, owner):
            if keys[-1] not in FILE_KEYS or not isinstance(value, str):
                continue
            if not value:
                unset = look.config.unset.get(keys, [])
                if unset:
                    yield look.trap(
                        "problem",
                        keys,
                        f"{_called(owner)}: {keys[-1]} is empty, {unset[0]} is not set",
                        f"set {unset[0]} in .env",
                    )
            elif not (look.root / value).is_file():
                yield look.trap(
                    "problem",
                    keys,
                    f"{_called(owner)}: {keys[-1]} {value} does not exist",
                    "put the file there, or correct the path",
                )


def _no_url(look: _Look) -> Iterator[Trap]:
    for owner, body in look.components("exporters"):
        kind = component_type(owner[1])
        for key, value in body.items():
            if not key.endswith("endpoint") or not isinstance(value, str):
                continue
            keys = (*owner, key)
            if kind in OTLP_GRPC:
                good, form = _is_grpc_target(value), "host:port"
            elif kind in OTLP_HTTP or value:
                good, form = _is_url(value), "http://host:port or https://host"
            else:
                continue
            if good:
                continue
            unset = look.config.unset.get(keys, [])
            why = f" ({unset[0]} is not set)" if unset else ""
            yield look.trap(
                "problem",
                keys,
                f"{_called(owner)}: {key} {value!r} is no address{why}",
                f"set {unset[0]} in .env" if unset else f"write it as {form}",
            )


def _is_url(value: str) -> bool:
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        return False
    return url.scheme in {"http", "https"} and bool(url.hostname) and port != 0


def _is_grpc_target(value: str) -> bool:
    bare = re.sub(r"^(https?|dns|passthrough|unix)://+", "", value)
    if value.startswith("unix:"):
        return True
    try:
        url = urlsplit(f"//{bare}")
        return bool(url.hostname) and url.port is not None
    except ValueError:
        return False


def _retention(look: _Look) -> Iterator[Trap]:
    for owner, body in look.components("exporters"):
        days = body.get("log_retention")
        if days is None or days in RETENTION_DAYS:
            continue
        numbers = sorted(RETENTION_DAYS - {0})
        nearest = (
            min(numbers, key=lambda allowed: abs(allowed - days)) if isinstance(days, int) else 30
        )
        yield look.trap(
            "problem",
            (*owner, "log_retention"),
            f"{_called(owner)}: CloudWatch keeps no log for {days!r} days",
            f"the nearest that it takes is {nearest}",
        )


def _queues(look: _Look) -> Iterator[Trap]:
    seen = set()
    for route in look.routes:
        if route.queue in seen:
            continue
        seen.add(route.queue)
        owner = ("exporters", route.queue)
        body = look.config.section("exporters").get(route.queue)
        settings = body if isinstance(body, dict) else {}
        if component_type(route.queue) in NO_QUEUE_OF_THEIR_OWN:
            yield look.trap(
                "problem",
                owner,
                f"{_called(owner)} has no queue of its own and none before it: when "
                f"{route.vendor} hangs, every vendor waits",
                "put it behind a loopback hop with a persistent queue, as docs and "
                "collector/otel-config.yaml show",
            )
            continue
        yield from _one_queue(look, owner, settings, route.vendor)


def _one_queue(
    look: _Look, owner: Keys, settings: Mapping[str, Any], vendor: str
) -> Iterator[Trap]:
    queue = settings.get("sending_queue")
    queue = queue if isinstance(queue, dict) else {}
    at = (*owner, "sending_queue")
    if queue.get("enabled") is False:
        yield look.trap(
            "problem",
            (*at, "enabled"),
            f"{_called(owner)} has its queue switched off: when {vendor} hangs, every vendor waits",
            "switch sending_queue on, with storage",
        )
        return
    if not queue.get("storage"):
        yield look.trap(
            "warning",
            at,
            f"{_called(owner)} keeps its queue in memory: a restart loses what waits for {vendor}",
            "set sending_queue.storage to a file_storage extension",
        )
    if queue.get("block_on_overflow"):
        yield look.trap(
            "warning",
            (*at, "block_on_overflow"),
            f"{_called(owner)}: with block_on_overflow a full queue makes the app wait",
            "take it out; what is dropped then is counted",
        )
    yield from _retries(look, owner, settings, vendor)


def _retries(look: _Look, owner: Keys, settings: Mapping[str, Any], vendor: str) -> Iterator[Trap]:
    retry = settings.get("retry_on_failure")
    retry = retry if isinstance(retry, dict) else {}
    at = (*owner, "retry_on_failure")
    if retry.get("enabled") is False:
        yield look.trap(
            "warning",
            (*at, "enabled"),
            f"{_called(owner)} does not try again: whatever {vendor} fails to take once is lost",
            "switch retry_on_failure on, with max_elapsed_time: 0",
        )
    elif "max_elapsed_time" not in retry:
        yield look.trap(
            "warning",
            at,
            f"{_called(owner)} gives up after 5 minutes, its default: a longer outage of {vendor} "
            "loses data",
            "set retry_on_failure.max_elapsed_time to 0",
        )


def _unused(look: _Look) -> Iterator[Trap]:
    for kind in KINDS:
        used = look.used(kind)
        for name in look.config.section(kind):
            if name in used or name in LOOKED_AT_BY_HAND:
                continue
            where = "service.extensions" if kind == "extensions" else "a pipeline"
            yield look.trap(
                "warning",
                (kind, name),
                f"{_called((kind, name))} is defined and does nothing",
                f"name it in {where}, or take it out",
            )


def _too_open(look: _Look) -> Iterator[Trap]:
    if not look.native:
        return
    for owner, body in look.components("receivers", "extensions"):
        for keys, value in _walk(body, owner):
            if keys[-1] != "endpoint" or not isinstance(value, str) or "://" in value:
                continue
            if beyond_loopback(value):
                yield look.trap(
                    "warning",
                    keys,
                    f"{_called(owner)} listens on {value}, where other machines reach it",
                    "bind it to 127.0.0.1, or put a firewall before it",
                )


def beyond_loopback(endpoint: str) -> bool:
    """Whether a listener on `host:port` is reached from other machines."""
    host = urlsplit(f"//{endpoint}").hostname or ""
    if not host:
        return True
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host not in LOOPBACK


def _batch_processor(look: _Look) -> Iterator[Trap]:
    for owner, _ in look.components("processors"):
        if component_type(owner[1]) == "batch":
            yield look.trap(
                # Seen with a vendor that hung: 2620 of 3000 spans acknowledged and then lost.
                "warning",
                owner,
                f"{_called(owner)} answers before anything is stored, and loses it when a vendor "
                "fails",
                "take it out and batch in the exporter, by sending_queue.batch",
            )


def _truncating_files(look: _Look) -> Iterator[Trap]:
    for owner, body in look.components("exporters"):
        if component_type(owner[1]) != "file":
            continue
        if not body.get("append") and "rotation" not in body:
            yield look.trap(
                "warning",
                owner,
                f"{_called(owner)} empties its file at each start and reload",
                "set append: true, or rotation",
            )


def _twice(look: _Look) -> Iterator[Trap]:
    """Two pipelines of one signal between the same ends: everything arrives there twice."""
    first: dict[tuple[str, str, str], str] = {}
    for name, body in look.pipelines.items():
        for receiver in body.get("receivers") or []:
            for exporter in body.get("exporters") or []:
                way = (component_type(name), receiver, exporter)
                other = first.setdefault(way, name)
                if other != name:
                    yield look.trap(
                        "warning",
                        ("service", "pipelines", name),
                        f"pipeline {name} sends what {receiver} takes to {exporter}, as {other} "
                        "does: it gets two of each",
                        "take the exporter out of one of them",
                    )


_TRAPS: tuple[Callable[[_Look], Iterator[Trap]], ...] = (
    _empty_keys,
    _undefined_helpers,
    _missing_files,
    _no_url,
    _retention,
    _queues,
    _unused,
    _too_open,
    _batch_processor,
    _truncating_files,
    _twice,
)
