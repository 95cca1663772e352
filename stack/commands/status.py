"""`make status`: what runs, and what it has done so far."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from stack.errors import StackError
from stack.runtimes.chosen import RUNTIMES, plan_of_running

NOT_UP = StackError("the stack is not up", "start it with `make up`")


def run(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show every service, whether it runs and how often it ended by itself."""
    plan = plan_of_running()
    if plan is None:
        raise NOT_UP
    services = RUNTIMES[plan.runtime].status(plan)
    if as_json:
        print(json.dumps({"runtime": plan.runtime, "services": [asdict(s) for s in services]}))
    else:
        table = Table("service", "state", "restarts", "last end", title=f"{plan.runtime} runtime")
        for service in services:
            colour = "green" if service.running else "red"
            table.add_row(
                service.name,
                f"[{colour}]{service.state}[/]",
                str(service.restarts),
                service.detail,
            )
        Console().print(table)
    if not all(service.running for service in services):
        raise typer.Exit(1)
