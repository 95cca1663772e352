"""`make logs`: what the services printed."""

from __future__ import annotations

from typing import Annotated

import typer

from stack.console import console
from stack.errors import StackError
from stack.runtimes import native
from stack.runtimes.chosen import RUNTIMES, plan_of_running
from stack.runtimes.supervisor import log_files
from stack.services import make_plan
from stack.settings import ROOT, load_settings
from stack.suggest import suggest


def run(
    service: Annotated[str | None, typer.Argument(help="Only this one.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Of each service.")] = 20,
) -> None:
    """Print the last lines of every service, or of one; also of a stack that is not up any more."""
    running = plan_of_running()
    # Both runtimes leave the same files.
    plan = running or make_plan(load_settings(ROOT), ROOT, "native")
    files = log_files(plan)
    if service is not None and service not in files:
        raise StackError(f"there is no service {service}", suggest(service, files))
    if running is None:
        left = [name for name, file in files.items() if file.exists() and service in {None, name}]
        if not left:
            what = f"{service} has" if service else "it has"
            raise StackError(
                f"the stack is not up, and {what} printed nothing here", "start it with `make up`"
            )
        console.print("the stack is not up; this is what it printed last")
    runtime = RUNTIMES[running.runtime] if running else native
    runtime.logs(plan, service, follow=follow, lines=lines)
