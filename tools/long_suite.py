"""A suite of tests that takes long: what can runs side by side, the rest after it, one by one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stack.settings import ROOT

NOTHING_FOUND = 5
"""pytest's exit code."""


def play(suite: str, options: Sequence[str], *, only: str, workers: int, alone: bool = True) -> int:
    """Run the tests of `suite` whose names hold `only`, `workers` at once; then, with `alone`,
    those that are marked so. Returns pytest's exit code.
    """
    together = [f"--numprocesses={workers}", "--dist=worksteal"]
    codes = [_pytest(suite, "not alone", only, [*options, *together])]
    if alone:
        codes.append(_pytest(suite, "alone", only, options))
    # A choice by name may leave one of the two with nothing.
    found = [code for code in codes if code != NOTHING_FOUND]
    return max(found, default=NOTHING_FOUND)


def _pytest(suite: str, marked: str, only: str, options: Sequence[str]) -> int:
    chosen = ["-k", expression(only)] if only else []
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", suite, "--runtime=native", "--quiet"),
            *("-m", marked, *options, *chosen),
        ],
        cwd=ROOT,
        check=False,
    ).returncode


def expression(only: str) -> str:
    """`only` as pytest's -k takes it: plain words are all to be in the name, in any order."""
    words = only.split()
    return only if {"and", "or", "not"} & {*words} else " and ".join(words)


def read_results(folder: Path) -> list[dict[str, Any]]:
    """One object a case, as the suite wrote them."""
    return [
        json.loads(line)
        for file in sorted(folder.glob("*.jsonl"))
        for line in file.read_text().splitlines()
    ]
