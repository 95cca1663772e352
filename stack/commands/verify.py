"""`make verify`: one trace, metric and log record, shown arriving at every vendor."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from stack.announce import announce
from stack.console import console
from stack.runtimes.chosen import running_plan
from stack.verify import Delivery, verify

if TYPE_CHECKING:
    from collections.abc import Sequence

COLOURS = {"arrived": "green", "missing": "yellow", "rejected": "red"}


def run(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    deadline: Annotated[float, typer.Option(min=1, help="Seconds to wait for arrivals.")] = 10,
) -> None:
    """Send one of each signal under a fresh trace id; exit 0 when every vendor has it."""
    plan = running_plan()
    announce(plan)
    if as_json:
        report = verify(plan, deadline)
        print(json.dumps({"complete": report.complete, **asdict(report)}))
    else:
        with Live(_table(()), console=console, transient=True) as live:
            report = verify(plan, deadline, lambda known: live.update(_table(known)))
        Console().print(_table(report.deliveries))
        Console().print(f"trace id {report.trace_id}")
    if not report.complete:
        raise typer.Exit(1)


def _table(deliveries: Sequence[Delivery]) -> Table:
    table = Table("vendor", "signal", "", "after", "how it is known", "what the vendor said")
    for one in deliveries:
        table.add_row(
            one.vendor,
            one.signal,
            f"[{COLOURS[one.state]}]{one.state}[/]",
            "" if one.seconds is None else f"{one.seconds:.1f} s",
            one.by,
            one.why,
        )
    return table
