"""`make verify`: one trace, metric and log record, shown arriving at every vendor."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from stack.announce import announce
from stack.console import console, shown
from stack.runtimes.chosen import running_plan
from stack.traces import trace_command
from stack.verify import Delivery, Report, Start, verify

COLOURS = {"arrived": "green", "missing": "yellow", "rejected": "red"}


def run(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    start: Annotated[
        Start, typer.Option("--from", help="Where it begins: a request to the app, or the page.")
    ] = Start.APP,
    url: Annotated[
        str, typer.Option(help="Begin with a request to any service, in place of --from.")
    ] = "",
    deadline: Annotated[float, typer.Option(min=1, help="Seconds to wait for arrivals.")] = 10,
) -> None:
    """Send one of each signal under a fresh trace id; exit 0 when every vendor has it.

    With --url, a request to that service: exit 1, and why, when it does not continue the trace.
    """
    plan = running_plan()
    announce(plan)
    if as_json:
        report = verify(plan, deadline, start=url or start)
        print(json.dumps({"complete": report.complete, **asdict(report)}))
    else:
        with Live(_table(()), console=console, transient=True) as live:
            report = verify(plan, deadline, lambda known: live.update(_table(known)), url or start)
        show(report, Console())
    if not report.complete:
        raise typer.Exit(1)


def show(report: Report, terminal: Console) -> None:
    """Print the trace of a click, who has what, and the trace's id."""
    width = max((len(step.service) for step in report.steps), default=0)
    for step in report.steps:
        indent = "  " * step.depth
        terminal.print(
            f"[dim]{shown(step.service):{width}}[/]  {indent}{shown(step.name)}", highlight=False
        )
    if report.deliveries:
        terminal.print(_table(report.deliveries))
    for note in report.notes:
        terminal.print(shown(note), highlight=False, soft_wrap=True)
    for vendor, why in report.untried.items():
        terminal.print(f"{vendor} was not looked at: {why}", highlight=False, soft_wrap=True)
    for vendor, page in report.pages.items():
        terminal.print(f"{vendor} shows it at {page}", highlight=False, soft_wrap=True)
    terminal.print(f"trace id {report.trace_id}: {trace_command(report.trace_id)}", soft_wrap=True)
    if report.reason:
        said = f"the trace was not continued: {report.reason.what}; {report.reason.todo}"
        terminal.print(f"[red]error:[/] {shown(said)}", highlight=False, soft_wrap=True)


def _table(deliveries: Sequence[Delivery]) -> Table:
    # Where nobody complains, a table that fits a narrow terminal.
    said = any(one.why for one in deliveries)
    table = Table("vendor", "signal", "", "after", "how it is known")
    if said:
        table.add_column("why")
    for one in deliveries:
        table.add_row(
            one.vendor,
            one.signal,
            f"[{COLOURS[one.state]}]{one.state}[/]",
            "" if one.seconds is None else f"{one.seconds:.1f} s",
            one.by,
            *([escape(one.why)] if said else []),
        )
    return table
