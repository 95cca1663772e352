"""`make audit`: known vulnerabilities in what is locked."""

from __future__ import annotations

import typer
from rich.markup import escape

from stack.audit import audit_all
from stack.console import console
from stack.settings import ROOT


def run() -> None:
    """Ask pip-audit, govulncheck and npm audit; needs the internet. Exit 1 for a finding."""
    found = False
    for audit in audit_all(ROOT):
        found = found or bool(audit.findings)
        for finding in audit.findings:
            console.print(f"  [red]✗[/] {audit.tool}: {escape(finding)}", soft_wrap=True)
        if audit.why:
            what = f"{audit.unasked} packages were" if audit.unasked else "all packages were"
            console.print(
                f"  [yellow]![/] {audit.tool}: {what} not asked about: {escape(audit.why)}",
                soft_wrap=True,
            )
        if audit.asked and not audit.findings:
            console.print(f"  [green]✓[/] {audit.tool}: nothing known of {audit.asked} packages")
    if found:
        raise typer.Exit(1)
