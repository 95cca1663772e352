"""`make sbom`: the bill of materials."""

from __future__ import annotations

from stack.console import console
from stack.settings import ROOT


def run() -> None:
    """List every package that is shipped, and those that build it, in sbom.cdx.json."""
    # Its library is among the packages for tests, which no other command needs.
    from stack.sbom import BILL, write_bill  # noqa: PLC0415

    count = write_bill(ROOT)
    console.print(f"{BILL} lists {count} packages")
