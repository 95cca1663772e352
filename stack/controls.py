"""Every security control taken out of a copy of the project, to see its test red; the results."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

from stack.long_suite import play
from stack.settings import ROOT

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
