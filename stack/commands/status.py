"""`make status`: what runs, and what each vendor got."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from stack.announce import announce
from stack.applied_config import applied_config
from stack.console import ago, console, shown
from stack.dead_letters import Pile, piles
from stack.errors import StackError
from stack.exporter_log import last_errors
from stack.ledger import Entry, Intake, about_queue_files, read_intakes, read_ledger
from stack.refusals import Refusal, Rejected, read_refusals, sentences
from stack.replay import letters_folder, read_letters
from stack.routes import front_receivers, routes, vendor
from stack.routes import intakes as intakes_of
from stack.runtimes.chosen import RUNTIMES, running_plan
from stack.runtimes.service import Service
from stack.secrecy import Redactor, secrets_of
from stack.services import Plan
from stack.telemetry import RECORD, Lost, Recorded, lost_lately, recorded_by_service

FULL = 0.8
"""A queue filled beyond this share is shown in red: there is little time left to act."""


WATCH_SECONDS = 2


def run(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help=f"Every {WATCH_SECONDS} s until Ctrl-C.")
    ] = False,
) -> None:
    """Show every service, the ledger, and what the local record has of whom."""
    while watch:
        Console().clear()
        _show(as_json)
        sys.stdout.flush()
        time.sleep(WATCH_SECONDS)
    if not _show(as_json):
        raise typer.Exit(1)


def _show(as_json: bool) -> bool:
    """Whether nothing is wrong."""
    plan = running_plan()
    runtime = RUNTIMES[plan.runtime]
    services = runtime.status(plan)
    entries, intakes, unread = _ledger(plan)
    refused, rejected = _refusals(plan)
    recorded = recorded_by_service(plan.telemetry_dir)
    lost = lost_lately(plan.telemetry_dir / RECORD["metrics"])
    hide = Redactor(secrets_of(plan.settings, plan.vendors, os.environ))
    printed = last_errors(runtime.output(plan, "collector"), entries)
    errors = {queue: hide.text(said) for queue, said in printed.items()}
    letters, unread_letters = _letters(plan)
    if as_json:
        print(
            json.dumps(
                {
                    "runtime": plan.runtime,
                    "vendors": {v.name: "live" if v.live else "played" for v in plan.vendors},
                    "services": [asdict(service) for service in services],
                    "ledger": [asdict(e) | {"last_error": errors.get(e.queue)} for e in entries],
                    "receivers": [asdict(one) for one in intakes],
                    "ledger_unread": unread,
                    "recorded": [asdict(one) for one in recorded],
                    "lost": [asdict(one) for one in lost],
                    "refused": [asdict(one) for one in refused],
                    "rejected": [asdict(one) for one in rejected],
                    "dead_letters": [asdict(one) for one in letters],
                }
            )
        )
    else:
        announce(plan)
        Console().print(_services(services))
        Console().print(_entries(entries))
        # With one receiver its numbers are those of the ledger.
        if len({one.receiver for one in intakes}) > 1:
            Console().print(_intakes(intakes))
        if recorded:
            Console().print(_recorded(recorded))
        for one in lost:
            Console().print(_lost(one), soft_wrap=True)
        _print_refusals(refused, rejected, hide)
        for said in filter(None, about_queue_files(entries)):
            Console().print(f"[red]queues[/]: {shown(said)}", soft_wrap=True)
        for queue, said in errors.items():
            Console().print(f"[red]{vendor(queue)}[/]: {shown(said)}", soft_wrap=True)
        for pile in letters:
            Console().print(_pile(pile, hide), soft_wrap=True)
        for unread_one in filter(None, (unread, unread_letters)):
            console.print(f"[red]error:[/] {shown(unread_one)}", soft_wrap=True)
    healthy = all(service.running for service in services) and not unread
    return healthy and not any(one.failed or one.dropped or one.missing for one in entries)


def _ledger(plan: Plan) -> tuple[list[Entry], list[Intake], str]:
    config = applied_config(plan)
    try:
        entries = read_ledger(plan.metrics_url, routes(config), front_receivers(config))
        return entries, read_intakes(plan.metrics_url, intakes_of(config)), ""
    except StackError as away:
        # The services' table, which says why, is worth more than an error alone.
        return [], [], str(away)


def _print_refusals(refused: list[Refusal], rejected: list[Rejected], hide: Redactor) -> None:
    for receiver, sentence in sentences(refused, rejected, time.time()):
        told = shown(hide.text(sentence))
        Console().print(f"[yellow]{shown(receiver)}[/]: {told}", soft_wrap=True)


def _letters(plan: Plan) -> tuple[list[Pile], str]:
    try:
        return piles(read_letters(letters_folder(plan))), ""
    except StackError as no_letter:
        return [], str(no_letter)


def _pile(pile: Pile, hide: Redactor) -> str:
    """They stay until somebody sends them again or deletes them: hence when the last one came."""
    return (
        f"[red]{shown(pile.vendor)}[/] dead letters, the last {ago(time.time() - pile.last)}: "
        f"{shown(hide.text(str(pile)))}; `make doctor` says what to do"
    )


def _refusals(plan: Plan) -> tuple[list[Refusal], list[Rejected]]:
    try:
        return read_refusals(plan.metrics_url, front_receivers(applied_config(plan)))
    except StackError:
        return [], []  # the ledger's line says it


def _services(services: Sequence[Service]) -> Table:
    table = Table("service", "state", "restarts", "last end")
    for service in services:
        colour = "green" if service.running else "red"
        table.add_row(
            service.name,
            f"[{colour}]{service.state}[/]",
            str(service.restarts),
            shown(service.detail),
        )
    return table


def _recorded(recorded: Sequence[Recorded]) -> Table:
    """By service: the collector's own counts do not tell one sender from another."""
    table = Table("service", title="in the local record", title_justify="left")
    for column in ("spans", "data points", "log records", "the last"):
        table.add_column(column, justify="right")
    for one in recorded:
        counts = (str(number) if number else "-" for number in (one.spans, one.points, one.logs))
        table.add_row(shown(one.service or "(none)"), *counts, ago(time.time() - one.last))
    return table


def _lost(lost: Lost) -> str:
    """Of the app's own: what never reached the collector is in no row of the ledger."""
    when = ago(time.time() - lost.last)
    return f"[red]{shown(lost.service)}[/] lost {shown(lost.sentence)}; the last of them {when}"


def _entries(entries: Sequence[Entry]) -> Table:
    table = Table("vendor", "signal")
    for column in ("accepted", "sent", "queued", "full", "failed", "dropped"):
        table.add_column(column, justify="right")
    for entry in entries:
        filled = entry.queued / entry.queue_capacity if entry.queue_capacity else 0
        table.add_row(
            entry.vendor,
            entry.signal,
            str(entry.accepted),
            str(entry.sent),
            str(entry.queued) if entry.queue_capacity else "-",
            _red(f"{filled:.0%}", filled > FULL) if entry.queue_capacity else "-",
            _red(str(entry.failed), entry.failed > 0),
            _red(str(entry.dropped), entry.dropped > 0),
        )
    return table


def _intakes(intakes: Sequence[Intake]) -> Table:
    """By receiver: the ledger's "accepted" is the sum of them."""
    table = Table("receiver", "signal")
    for column in ("accepted", "refused", "in progress"):
        table.add_column(column, justify="right")
    for one in intakes:
        table.add_row(
            shown(one.receiver),
            one.signal,
            str(one.accepted),
            _red(str(one.refused), one.refused > 0),
            str(one.in_progress) if one.in_progress else "-",
        )
    return table


def _red(text: str, bad: bool) -> str:
    return f"[red]{text}[/]" if bad else text
