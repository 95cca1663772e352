"""`make controls`: every security control taken out of a copy, one by one; its test is red."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from stack.settings import ROOT
from tools.entry import run_function
from tools.long_suite import play, read_results

RESULTS = ROOT / ".run/controls"
WORKERS = 2
"""Copies at once: a case starts a collector, or a whole stack."""


def run_controls(*, only: str, workers: int) -> int:
    """Run the cases whose names hold `only`, all without it. Returns pytest's exit code."""
    shutil.rmtree(RESULTS, ignore_errors=True)
    return play("tests/controls", ["--controls=all"], only=only, workers=workers)


def summary(results: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each case, by section: what was taken out, what was red, after how long."""
    lines = []
    for section in dict.fromkeys(result["section"] for result in results):
        lines += ["", section]
        lines += [_line(result) for result in results if result["section"] == section]
    return lines


def _line(result: dict[str, Any]) -> str:
    mark = "✗" if result["why"] else "✓"
    shown = result["why"] or f"red: {', '.join(result['red'])}"
    taken_out = f"{result['control']} · {result['what']}"
    return f"  {mark} {taken_out} · {shown} · {result['seconds']:.0f} s"


def main(
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


if __name__ == "__main__":
    run_function(main)
