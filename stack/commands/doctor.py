"""`make doctor`: what is wrong, and what to do about it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from stack.announce import announce
from stack.console import shown, step
from stack.errors import StackError
from stack.finding import Finding
from stack.secrecy import Redactor, secrets_of
from stack.settings import ROOT, Settings, load_settings
from stack.vendors import vendors

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}
MARKS = {"ok": "✓", "warning": "!", "problem": "✗"}


def run(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look at settings, keys, ports, permissions, clock, config and versions. Changes nothing."""
    with step("looking at settings, machine, collector and vendors"):
        findings = look()
    well = not any(finding.verdict == "problem" for finding in findings)
    if as_json:
        listed = [asdict(finding) for finding in findings]
        print(json.dumps({"well": well, "findings": listed}, ensure_ascii=False))
    else:
        Console().print(_table(findings))
        Console().print(_sum(findings))
    if not well:
        raise typer.Exit(1)


def look(root: Path = ROOT) -> list[Finding]:
    """Every finding, keys hidden. Settings that cannot be read are the only finding then."""
    environ = dict(os.environ)
    settings: Settings | None = None
    hide = Redactor(secrets_of(None, (), environ))
    try:
        settings = load_settings(root)
        hide = Redactor(secrets_of(settings, vendors(settings, "127.0.0.1"), environ))
        findings = _examine(settings, root)
    except StackError as error:
        findings = [Finding("settings", "problem", error.what, error.todo)]
    return [hide.finding(finding) for finding in findings]


def _examine(settings: Settings, root: Path) -> list[Finding]:
    # boto3 alone takes half a second to import: no other command has to wait for it.
    from stack.doctor.checks import CHECKS  # noqa: PLC0415
    from stack.doctor.examination import examine  # noqa: PLC0415
    from stack.doctor.setup import look_around  # noqa: PLC0415

    setup = look_around(settings, root)
    announce(setup.plan, running=setup.up)
    return examine(setup, CHECKS)


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, show_header=False)
    for finding in findings:
        colour = COLOURS[finding.verdict]
        todo = f"\n[bold]→ {shown(finding.todo)}[/]" if finding.todo else ""
        table.add_row(
            f"[{colour}]{MARKS[finding.verdict]}[/]", finding.check, shown(finding.what) + todo
        )
    return table


def _sum(findings: list[Finding]) -> str:
    def count(verdict: str, word: str) -> str:
        number = sum(finding.verdict == verdict for finding in findings)
        return f"[{COLOURS[verdict]}]{number or 'no'} {word}{'' if number == 1 else 's'}[/]"

    return f"{count('problem', 'problem')}, {count('warning', 'warning')}"
