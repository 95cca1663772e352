"""Which runtime a command works with."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from stack.engine import Engine, find_engine
from stack.errors import StackError
from stack.runtimes import docker, native
from stack.services import Plan, make_plan
from stack.settings import ROOT, load_settings

RUNTIMES: dict[str, ModuleType] = {"docker": docker, "native": native}


def plan_to_start(root: Path = ROOT) -> Plan:
    """The plan for what the user asked for: `RUNTIME`, else Docker where an engine can run it."""
    settings = load_settings(root)
    return make_plan(settings, root, settings.runtime or best_runtime(find_engine()))


def best_runtime(engine: Engine | None) -> str:
    """What runs the stack where nobody chose."""
    return "docker" if engine and not engine.lacking else "native"


def running_plan(root: Path = ROOT) -> Plan:
    """The plan of what is up. Raises StackError when nothing is."""
    plan = plan_of_running(root)
    if plan is None:
        raise StackError("the stack is not up", "start it with `make up`")
    return plan


def plan_of_running(root: Path = ROOT) -> Plan | None:
    """The plan of what is up in this folder, whichever runtime it is; None when nothing is."""
    settings = load_settings(root)
    for name in in_order(settings.runtime):
        plan = make_plan(settings, root, name)
        if RUNTIMES[name].is_running(plan):
            return plan
    return None


def in_order(asked: str | None) -> list[str]:
    """The runtimes as they are to be looked at: the one that was asked for first. Else native,
    which is known at once and needs no engine's answer.
    """
    return sorted(RUNTIMES, key=lambda name: name != (asked or "native"))
