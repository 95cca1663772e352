"""`make controls`: every security control taken out of a copy, one by one; its test is red."""

from __future__ import annotations

from typing import Annotated

import typer

from stack.controls import RESULTS, WORKERS, run_controls, summary
from stack.long_suite import read_results


def run(
    only: Annotated[str, typer.Option(help="Only cases that hold these words.")] = "",
    workers: Annotated[int, typer.Option(min=1, help="Copies at once.")] = WORKERS,
) -> None:
    """Take each control of docs/security.md out, and see its test red."""
    code = run_controls(only=only, workers=workers)
    results = read_results(RESULTS)
    for line in summary(results):
        print(line)
    not_red = sum(bool(result["why"]) for result in results)
    print(f"{len(results)} taken out, {len(results) - not_red} seen red, {not_red} not")
    if code:
        raise typer.Exit(code)
