"""What a config has to pass before a collector goes on with it."""

from __future__ import annotations

from rich.markup import escape

from stack.config_traps.every import find_traps
from stack.console import console
from stack.services import Plan


def lint(plan: Plan, *, refuse: bool = True) -> None:
    """What the collector itself lets pass: print the warnings of the edited config.

    Raises StackError for the first thing that loses data or gets nowhere; without `refuse` that is
    printed too.
    """
    variables = plan.process("collector").environment
    native = plan.runtime == "native"
    for trap in find_traps(plan.config_sources, variables, plan.root, native=native):
        if refuse and trap.severity == "problem":
            raise trap.error()
        console.print(f"[yellow]warning:[/] {escape(str(trap.error()))}", soft_wrap=True)
