"""A trap, and what the traps share: who is used, who is a hop, what stands where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stack.collector_config.distribution import KINDS, component_type
from stack.collector_config.resolved import Config, Keys
from stack.errors import StackError
from stack.routes import LOCAL_RECORD, front_receivers, routes

NOT_A_VENDOR = frozenset({"debug", "nop", "file"})


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


class Look:
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
            found, self.fronts = routes(tree), front_receivers(tree)
        except ValueError:
            found, self.fronts = [], []  # a port that is no number; `addresses.no_url` says where
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

    def sources(self, receivers: Iterable[str], signal: str) -> Iterator[str]:
        """`receivers`; in a connector's place those of the `signal`'s pipelines that lead there."""
        connectors = self.config.section("connectors")
        for receiver in receivers:
            if receiver not in connectors:
                yield receiver
                continue
            for name, body in self.pipelines.items():
                if component_type(name) == signal and receiver in (body.get("exporters") or []):
                    own = body.get("receivers") or []
                    yield from (one for one in own if one not in connectors)

    def components(self, *kinds: str) -> Iterator[tuple[Keys, dict[str, Any]]]:
        """Those that are used: kind and name, and their settings."""
        for kind in kinds:
            used = self.used(kind)
            for name, body in self.config.section(kind).items():
                if name in used:
                    yield (kind, name), body if isinstance(body, dict) else {}

    def problem(self, keys: Keys, what: str, todo: str) -> Trap:
        return Trap("problem", self.config.at(keys), what, todo)

    def warning(self, keys: Keys, what: str, todo: str) -> Trap:
        return Trap("warning", self.config.at(keys), what, todo)


def called(keys: Keys) -> str:
    """`exporter otlp_http/honeycomb`."""
    return f"{keys[0].removesuffix('s')} {keys[1]}"


def walk(value: Any, keys: Keys) -> Iterator[tuple[Keys, Any]]:
    """Every value below, with its path."""
    yield keys, value
    if isinstance(value, dict):
        for key, below in value.items():
            yield from walk(below, (*keys, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from walk(below, (*keys, str(index)))
