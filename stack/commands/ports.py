"""`make ports`: every port, and who holds it."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from stack.console import shown
from stack.ports import Holder, holders
from stack.runtimes.chosen import plan_of_running
from stack.services import Plan, make_plan
from stack.settings import ROOT, load_settings


def run(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """List every port, the setting that moves it, and who holds it."""
    plan = plan_of_running() or make_plan(load_settings(ROOT), ROOT, "native")
    ports = sorted(plan.ports.items(), key=lambda item: item[1])
    held = holders(port for _, port in ports)
    if as_json:
        print(json.dumps([_as_object(plan, name, port, held.get(port)) for name, port in ports]))
        return
    table = Table("port", "setting", "held by", box=None)
    for name, port in ports:
        by = held.get(port)
        if by is None:
            told = "[green]free[/]"
        elif _is_ours(plan, by):
            told = f"this stack: {shown(by.program)}" + (f" (pid {by.pid})" if by.pid else "")
        else:
            told = f"[yellow]{shown(str(by))}[/]"
        table.add_row(str(port), name, told)
    Console().print(table)


def _is_ours(plan: Plan, by: Holder) -> bool:
    return by.stack in {plan.root, plan.run_dir}


def _as_object(plan: Plan, setting: str, port: int, by: Holder | None) -> dict[str, object]:
    return {
        "port": port,
        "setting": setting,
        "free": by is None,
        "ours": by is not None and _is_ours(plan, by),
        "program": by and by.program,
        "pid": by and by.pid,
        "stack": str(by.stack) if by and by.stack else None,
    }
