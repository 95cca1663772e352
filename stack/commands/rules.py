"""`make rules`: the rules for secrets that gitleaks keeps."""

from __future__ import annotations

from stack.console import console
from stack.secret_rules import FILES, MODULE, VERSION, write_rules
from stack.settings import ROOT


def run() -> None:
    """Write the rules of the pinned gitleaks for the collector, the services and the page."""
    count = write_rules(ROOT)
    console.print(f"{count} rules of {MODULE} {VERSION} are in {', '.join(map(str, FILES))}")
