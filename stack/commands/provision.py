"""`make provision`: X-Ray's group and sampling rule, log groups, metric filters, alarms."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from stack.accounts import aws_target, is_live
from stack.announce import announce
from stack.console import console, step
from stack.provision.account import account_of
from stack.provision.changes import Change, apply, plan_changes
from stack.provision.desired import (
    check_service_names,
    load_desired,
    service_names,
    template_parameters,
)
from stack.runtimes.chosen import running_plan
from stack.services import BACKEND, make_plan
from stack.settings import ROOT, load_settings


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
    account = account_of(target)
    service = plan.service_names[BACKEND]
    parameters = template_parameters(settings.collector, settings.log_route, service)
    desired = load_desired(ROOT, settings.aws_region, account, parameters)
    check_service_names(desired, service_names(ROOT))
    with step(f"comparing account {account} in {settings.aws_region} with aws/"):
        changes = plan_changes(target, desired)
    if not changes:
        console.print("everything is there already")
        return
    _show(changes)
    if dry_run:
        return
    if live and not yes:
        if not sys.stdin.isatty():
            console.print("nothing was changed: a live account needs --yes where nobody can answer")
            raise typer.Exit(1)
        typer.confirm(f"Make these {len(changes)} changes?", abort=True)
    with step(f"making {len(changes)} changes"):
        apply(target, changes)


def _show(changes: Sequence[Change]) -> None:
    output = Console()
    for change in changes:
        sign = "[green]+[/]" if change.action == "create" else "[yellow]~[/]"
        output.print(f"{sign} {change.kind} {escape(change.name)}", soft_wrap=True)
        for one in change.differences:
            found = "" if one.found is None else f"{one.found} → "
            output.print(f"    {one.name}: {escape(f'{found}{one.wanted}')}", soft_wrap=True)
