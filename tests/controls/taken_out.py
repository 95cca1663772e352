"""A control that is taken out of a copy of the project, so that its test is seen red."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stack.settings import ROOT

PAGE = ROOT / "docs/security.md"


@dataclass(frozen=True)
class Change:
    """`old` occurs exactly once in `file`, a path from the project's root. `new` is empty to delete
    it; `old` is empty to make a file that is not there.
    """

    file: str
    old: str
    new: str = ""

    def misfit(self, root: Path) -> str:
        """Why it cannot be made; empty when it can."""
        path = root / self.file
        if not self.old:
            return f"{self.file} is there already" if path.exists() else ""
        if not path.is_file():
            return f"{self.file} is not there"
        found = path.read_text().count(self.old)
        return "" if found == 1 else f"{found} times in {self.file}: {self.old!r}"

    def make(self, root: Path) -> None:
        """Raises ValueError when it cannot be made."""
        if misfit := self.misfit(root):
            raise ValueError(misfit)
        path = root / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text().replace(self.old, self.new) if self.old else self.new
        path.write_text(text)


@dataclass(frozen=True)
class TakenOut:
    """`control`: the row's first cell; `what`: the item of its last cell that is taken out, as it
    stands there between two semicolons.

    `tests`: ids out of the row, for pytest (one of several parameters may be named in brackets) or
    `folder/file_test.go::TestName`; one that fails is enough. `alone`: nothing else may run beside
    it, as nothing does beside what has to run in containers. `error_is_red`: a fixture of the test
    holds the assertion.
    """

    control: str
    what: str
    changes: tuple[Change, ...]
    tests: tuple[str, ...]
    runtime: Literal["native", "docker"] = "native"
    alone: bool = False
    error_is_red: bool = False


@dataclass(frozen=True)
class Row:
    """One of the table: `cells` as they stand, `tests` those that the third one names."""

    section: str
    cells: tuple[str, ...]
    tests: tuple[str, ...]


def rows() -> tuple[Row, ...]:
    """The table of controls in docs/security.md."""
    table = PAGE.read_text().partition("## Controls")[2].partition("\n## ")[0]
    found = []
    for part in table.split("\n### ")[1:]:
        section, _, lines = part.partition("\n")
        for line in lines.split("\n"):
            if line.startswith("| ") and not line.startswith("| control "):
                cells = tuple(cell.strip() for cell in line.strip("|").split(" | "))
                named = re.findall(r"`([^`]+::[^`]+)`", cells[2]) if len(cells) > 2 else []
                found.append(Row(section, cells, tuple(named)))
    return tuple(found)
