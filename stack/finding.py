"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `todo` is empty where nothing is to be done.

    `problem`: something does not work. `warning`: it works, and may not be what is wanted.
    """

    check: str
    verdict: Verdict
    what: str
    todo: str = ""


@dataclass(frozen=True)
class About:
    """Makes the findings of one check."""

    check: str

    def ok(self, what: str) -> Finding:
        return Finding(self.check, "ok", what)

    def warning(self, what: str, todo: str) -> Finding:
        return Finding(self.check, "warning", what, todo)

    def problem(self, what: str, todo: str) -> Finding:
        return Finding(self.check, "problem", what, todo)
