"""`make break VENDOR=xray MODE=hang`: spoil an emulator and watch the others not care."""

from __future__ import annotations

from typing import Annotated

import typer

from emulators.core.faults import MODES
from stack.console import console
from stack.played import check_breakable, emulators
from stack.runtimes.chosen import running_plan


def run(
    vendor: Annotated[str, typer.Argument(help="As the first line of `make verify` calls it.")],
    mode: Annotated[str, typer.Argument(help=", ".join(MODES))],
    seconds: Annotated[
        float | None, typer.Option(min=0, help="How long it stays so; until healed without it.")
    ] = None,
) -> None:
    """Have an emulator fail in one of the ways that vendors fail."""
    plan = running_plan()
    emulator, how = check_breakable(plan, vendor, mode)
    with emulators(plan) as client:
        client.break_(emulator, how, duration=seconds)
    lasts = f"for {seconds:g} s" if seconds else "until `make heal`"
    console.print(f"{vendor} fails now: {mode}, {lasts}. See `make status` and `make verify`.")
