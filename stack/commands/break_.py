"""`make break VENDOR=xray MODE=hang`: spoil a stand-in and watch the others not care."""

from __future__ import annotations

from typing import Annotated

import typer

from stack.console import console
from stack.played import check_breakable, standins
from stack.runtimes.chosen import running_plan
from standins.faults import MODES


def run(
    vendor: Annotated[str, typer.Argument(help="honeycomb, xray, cloudwatch or rollbar.")],
    mode: Annotated[str, typer.Argument(help=", ".join(MODES))],
    seconds: Annotated[
        float | None, typer.Option(min=0, help="How long it stays so; until healed without it.")
    ] = None,
) -> None:
    """Have a stand-in fail in one of the ways that vendors fail."""
    plan = running_plan()
    standin, how = check_breakable(plan, vendor, mode)
    with standins(plan) as client:
        client.break_(standin, how, duration=seconds)
    lasts = f"for {seconds:g} s" if seconds else "until `make heal`"
    console.print(f"{vendor} fails now: {mode}, {lasts}. See `make status` and `make verify`.")
