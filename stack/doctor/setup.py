"""What the checks look at: the settings, what they make of the stack, and whether it runs."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stack.collector_config.resolved import Config, read
from stack.engine import Engine, find_engine
from stack.errors import StackError
from stack.routes import Route, routes
from stack.runtimes import docker, native
from stack.runtimes.chosen import best_runtime
from stack.services import Plan, make_plan
from stack.settings import Settings
from stack.vendors import Vendor, vendors

# An engine that hangs must not take the whole examination with it.
ENGINE_SECONDS = 2.5


@dataclass(frozen=True)
class Setup:
    """`plan`: of the runtime that is up, else of the one that `make up` would take."""

    settings: Settings
    plan: Plan
    up: bool
    vendors: tuple[Vendor, ...]

    @property
    def root(self) -> Path:
        return self.plan.root

    @property
    def service_names(self) -> tuple[str, ...]:
        """Raises StackError for a service that nobody gives a name."""
        return tuple(process.service_name for process in self.plan.instrumented)

    def vendor(self, name: str) -> Vendor:
        return next(vendor for vendor in self.vendors if vendor.name == name)

    def reachable(self, vendor: Vendor) -> bool:
        """Whether there is anybody to ask: the vendor itself, or its emulator while it runs."""
        return vendor.live or self.up

    @cached_property
    def variables(self) -> dict[str, str]:
        """What `${env:…}` in the collector's config becomes. Holds keys."""
        return dict(self.plan.process("collector").environment)

    @cached_property
    def config(self) -> Config:
        """What the collector works with: its copies while it runs, else the edited files."""
        applied = self.plan.config_applied
        copied = self.up and all(file.exists() for file in applied)
        return read(applied if copied else self.plan.config_sources, self.variables)

    @cached_property
    def routes(self) -> list[Route]:
        """Raises StackError where the config does not hold together."""
        try:
            return routes(self.config.tree)
        except (KeyError, TypeError, ValueError, AttributeError) as broken:
            raise StackError(
                f"the collector's config cannot be followed ({type(broken).__name__}: {broken})",
                "see `make validate`",
            ) from None


def look_around(settings: Settings, root: Path) -> Setup:
    """Find out what is up. Raises StackError for settings that contradict each other."""
    played = vendors(settings, "127.0.0.1")
    plan = make_plan(settings, root, "native")
    if native.is_running(plan):
        return Setup(settings, plan, up=True, vendors=played)
    if settings.runtime == "native":
        return Setup(settings, plan, up=False, vendors=played)
    in_docker = make_plan(settings, root, "docker")
    engine: list[Engine | None] = []
    running: list[bool] = []

    def ask() -> None:
        engine.append(find_engine())
        if engine[0]:
            running.append(docker.is_running(in_docker))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(ENGINE_SECONDS)
    if any(running):
        return Setup(settings, in_docker, up=True, vendors=played)
    # Until the engine answers it is none.
    runtime = settings.runtime or best_runtime(*(engine or [None]))
    chosen = in_docker if runtime == "docker" else plan
    return Setup(settings, chosen, up=False, vendors=played)
