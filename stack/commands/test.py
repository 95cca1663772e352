"""`make test`: every check there is, on this machine, from a clean clone."""

from __future__ import annotations

import typer

from stack.checks import Outcome, run_all
from stack.console import console


def run() -> None:
    """Lint, types, unit tests, the integration suite on both runtimes."""
    outcomes = run_all()
    for outcome in outcomes:
        console.print(_line(outcome), soft_wrap=True)
    for outcome in outcomes:
        if outcome.todo:
            console.print(f"[red]error:[/] {outcome.todo}", soft_wrap=True)
    passed = sum(outcome.passed for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes)
    print(f"{passed} passed, {failed} failed", flush=True)
    if failed:
        raise typer.Exit(1)


def _line(outcome: Outcome) -> str:
    mark = "[red]✗[/]" if outcome.failed else "[green]✓[/]"
    return (
        f"  {mark} {outcome.name}: {outcome.passed} passed, {outcome.failed} failed "
        f"in {outcome.seconds:.0f} s"
    )
