"""`make provision`: X-Ray's group and sampling rule, log groups, metric filters, alarms."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from stack.accounts import is_live
from stack.announce import announce
from stack.console import console, step
from stack.provision.account import account_of, aws_target
from stack.provision.change_set import Change, discard, execute, propose
from stack.provision.template import TEMPLATE_FILE, Template, template_parameters
from stack.runtimes.chosen import running_plan
from stack.services import make_plan
from stack.settings import ROOT, load_settings

SIGNS = {
    "Add": "[green]+[/]",
    "Modify": "[yellow]~[/]",
    "Remove": "[red]-[/]",
    "Import": "[blue]<[/]",
}


def run(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the difference, change nothing.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before a live account is changed.")
    ] = False,
) -> None:
    """Bring AWS, or what plays it, to what aws/ asks for; show the difference first."""
    settings = load_settings(ROOT)
    live = is_live(settings, "xray")
    plan = make_plan(settings, ROOT, "native") if live else running_plan()
    announce(plan, running=not live)
    target = aws_target(settings)
    parameters = template_parameters(settings.collector, settings.log_route, plan.called)
    template = Template.read(ROOT).for_services(plan.called)
    account = account_of(target)
    while True:
        with step(f"comparing account {account} in {target.region} with {TEMPLATE_FILE}"):
            change_set = propose(target, template, parameters)
        if change_set is None:
            console.print("everything is there already")
            return
        _show(change_set.changes)
        importing = change_set.kind == "IMPORT"
        if importing:
            console.print(
                "< is there already; the stack takes it over as it is; the rest is compared then"
            )
        if dry_run:
            discard(target, change_set)
            return
        count = f"{len(change_set.changes)} changes"
        if live and not yes:
            if not sys.stdin.isatty():
                discard(target, change_set)
                console.print(
                    "nothing was changed: a live account needs --yes where nobody can answer"
                )
                raise typer.Exit(1)
            if not typer.confirm(f"Make these {count}?"):
                discard(target, change_set)
                raise typer.Abort
        with step(f"making {count}"):
            execute(target, change_set)
        if not importing:
            return


def _show(changes: Sequence[Change]) -> None:
    output = Console()
    for change in changes:
        sign = SIGNS.get(change.action, "[yellow]~[/]")
        replaced = " (another one in its place)" if change.replaced else ""
        output.print(f"{sign} {change.kind} {escape(change.name)}{replaced}", soft_wrap=True)
        for name, before, after in change.differences:
            differs = f"{name}: {_short(before)} → {_short(after)}"
            output.print(f"    {escape(differs)}", soft_wrap=True)


def _short(value: str) -> str:
    return textwrap.shorten(value, 200, placeholder=" …")
