"""`make restart`: everything again, or one service."""

from __future__ import annotations

from typing import Annotated

import typer

from stack.commands import down, up
from stack.console import step
from stack.errors import StackError
from stack.runtimes.chosen import RUNTIMES, running_plan
from stack.suggest import suggest


def run(
    service: Annotated[str | None, typer.Argument(help="Only this one.")] = None,
) -> None:
    """Stop everything and start it again, or one service; the others do not notice that."""
    plan = running_plan()
    if service is None:
        down.run()
        up.run()
        return
    names = [process.name for process in plan.processes]
    if service not in names:
        raise StackError(f"there is no service {service}", suggest(service, names))
    with step(f"restarting {service}"):
        RUNTIMES[plan.runtime].restart(plan, plan.process(service))
