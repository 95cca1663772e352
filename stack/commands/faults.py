"""`make faults`: every vendor, fault and circumstance; the results in docs/reliability.md."""

from __future__ import annotations

import enum
import secrets
from typing import Annotated

import typer

from stack.console import console
from stack.errors import StackError
from stack.faults import (
    FEWEST_ITEMS,
    PAGE,
    RESULTS,
    WORKERS,
    by_vendor,
    run_faults,
    totals,
    write_page,
)
from stack.long_suite import read_results
from stack.settings import ROOT

MANY = 2**31


class Runtime(enum.Enum):
    """Of the collector; the emulators are processes."""

    NATIVE = "native"
    DOCKER = "docker"


def run(
    runs: Annotated[int, typer.Option(min=0, help="So many drawn cases instead of the table.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="The seed to draw them with; 0 picks one.")] = 0,
    only: Annotated[str, typer.Option(help="Only cases that hold these words.")] = "",
    runtime: Annotated[Runtime, typer.Option(help="What runs the collector.")] = Runtime.NATIVE,
    workers: Annotated[int, typer.Option(min=1, help="Benches at once.")] = WORKERS,
) -> None:
    """Play the fault suite and write its page."""
    command = "make faults"
    if runs:
        seed = seed or secrets.randbelow(MANY) + 1
        command = f"make faults RUNS={runs} SEED={seed}"
        console.print(f"again with: {command}", soft_wrap=True)
    code = run_faults(runs=runs, seed=seed, only=only, runtime=runtime.value, workers=workers)
    found = totals(read_results(RESULTS))
    whole = not only and not runs and runtime is Runtime.NATIVE
    if whole and found.cases:
        write_page(read_results(RESULTS), command)
        console.print(f"written: {PAGE.relative_to(ROOT)}")
    print(*by_vendor(found), found.sentence(), sep="\n")
    if whole and found.items < FEWEST_ITEMS:
        raise StackError(
            f"{found.items:,} items acknowledged; the table is to be played with "
            f"{FEWEST_ITEMS:,} at least",
            "see ITEMS and REQUESTS_PER_SECOND in tests/faults/harness/sender.py",
        )
    if code:
        raise typer.Exit(code)
