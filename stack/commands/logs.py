"""`make logs`: what the services printed."""

from __future__ import annotations

from typing import Annotated

import typer

from stack.errors import StackError
from stack.runtimes.chosen import RUNTIMES, running_plan
from stack.suggest import suggest


def run(
    service: Annotated[str | None, typer.Argument(help="Only this one.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Of each service.")] = 20,
) -> None:
    """Print the last lines of every service, or of one."""
    plan = running_plan()
    names = [process.name for process in plan.processes]
    if service is not None and service not in names:
        raise StackError(f"there is no service {service}", suggest(service, names))
    RUNTIMES[plan.runtime].logs(plan, service, follow=follow, lines=lines)
