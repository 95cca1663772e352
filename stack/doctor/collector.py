"""The collector: its config, whether it lives, whether it runs what is on disk, what got lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from stack.applied_config import wanted_config
from stack.asking import UnreachableError, ask
from stack.collector_config.files import ConfigTexts
from stack.config_traps.every import find_traps
from stack.dead_letters import piles
from stack.doctor.setup import Setup
from stack.exporter_log import last_errors
from stack.finding import About, Finding
from stack.ledger import UNITS, Entry, about_queue_files, read_ledger
from stack.replay import letters_folder, read_letters
from stack.runtimes.chosen import RUNTIMES
from stack.services import Plan

NEARLY_FULL = 0.8


def check_config(setup: Setup) -> Iterator[Finding]:
    """What the collector would accept in its config, and lose data by."""
    about = About("config")
    native = setup.plan.runtime == "native"
    sources = setup.plan.config_sources
    traps = find_traps(sources, setup.variables, setup.root, native=native)
    for trap in traps:
        found = about.problem if trap.severity == "problem" else about.warning
        yield found(f"{trap.where}: {trap.what}", trap.todo)
    if not traps:
        vendors = list(dict.fromkeys(route.vendor for route in setup.routes))
        names = _and([source.name for source in sources])
        yield about.ok(f"no traps in {names}; the collector sends to {_and(vendors)}")


def check_collector(setup: Setup) -> Iterator[Finding]:
    """Whether the collector lives, and works with the config that is on disk."""
    about = About("collector")
    if not setup.up:
        yield about.ok("the stack is not up")
        return
    health = setup.plan.process("collector").health
    try:
        answer = ask("GET", health)
    except UnreachableError as silent:
        yield about.problem(f"the collector does not answer: {silent}", "see `make logs`")
        return
    if not answer.ok:
        yield about.problem(
            f"the collector says that it is not healthy ({answer.status_code})", "see `make logs`"
        )
        return
    if _edited(setup.plan):
        yield about.warning(
            "the config was edited; the collector works with what it was before",
            "`make reload`",
        )
    else:
        yield about.ok("the collector works, with the config that is on disk")


def check_delivery(setup: Setup) -> Iterator[Finding]:
    """Whether each vendor gets its data: nothing failed, dropped, or piled up."""
    about = About("delivery")
    if not setup.up:
        yield about.ok("the stack is not up")
        return
    try:
        ask("GET", setup.plan.metrics_url)
    except UnreachableError as silent:
        yield about.problem(f"the collector's metrics cannot be read: {silent}", "see `make logs`")
        return
    entries = read_ledger(setup.plan.metrics_url, setup.routes, ())
    errors = last_errors(RUNTIMES[setup.plan.runtime].output(setup.plan, "collector"), entries)
    gone, renewed = about_queue_files(entries)
    if gone:
        yield about.problem(
            gone, "`make logs` says why; before `make down` let the collector deliver what waits"
        )
    if renewed:
        yield about.warning(renewed, "nothing is lost; leave queues alone while the stack is up")
    healthy = []
    # An exporter has one last error for all its signals.
    for vendor, queue in dict.fromkeys((entry.vendor, entry.queue) for entry in entries):
        own = [entry for entry in entries if (entry.vendor, entry.queue) == (vendor, queue)]
        trouble = [sentence for entry in own for sentence in _trouble(entry)]
        if not trouble:
            healthy.append(vendor)
            continue
        reason = f"; the last error of {queue}: {errors[queue]}" if queue in errors else ""
        lost = any(entry.failed or entry.dropped for entry in own)
        yield (about.problem if lost else about.warning)(
            f"{vendor}, since the collector's start: {_and(trouble)}{reason}",
            f"what failed or was dropped is lost; see the other lines about {vendor}"
            if lost
            else f"see why {vendor} does not take more",
        )
    if healthy:
        names = _and(list(dict.fromkeys(healthy)))
        yield about.ok(f"nothing lost and nothing piled up for {names}")


def check_dead_letters(setup: Setup) -> Iterator[Finding]:
    """What vendors refused for good, or their exporters failed on, and waits for a decision."""
    about = About("dead letters")
    folder = letters_folder(setup.plan)
    found = piles(read_letters(folder))
    if not found:
        yield about.ok("none")
    for pile in found:
        when = datetime.fromtimestamp(pile.last, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        yield about.problem(
            f"{pile.vendor} has not got {pile}; the last at {when}",
            f"{pile.todo}. To forget them delete {folder}",
        )


def _trouble(entry: Entry) -> Iterator[str]:
    unit = UNITS[entry.signal].replace("_", " ")
    if entry.failed:
        yield f"{entry.failed} {unit} failed"
    if entry.dropped:
        yield f"{entry.dropped} {unit} dropped, the queue was full"
    if entry.queue_capacity and entry.queued > NEARLY_FULL * entry.queue_capacity:
        yield f"the queue for {entry.signal} is {entry.queued / entry.queue_capacity:.0%} full"


def _edited(plan: Plan) -> bool:
    """Whether config and fragments differ from the collector's copies, and are the younger ones.

    Copies that are younger may differ by right: they were made for another distribution.
    """
    applied = plan.config_applied
    if not all(file.exists() for file in applied):
        return False
    edited, copied = (
        max(file.stat().st_mtime_ns for file in files) for files in (plan.config_sources, applied)
    )
    return edited > copied and wanted_config(plan) != ConfigTexts.read(plan.config_folder)


def _and(items: list[str]) -> str:
    if len(items) < 2:  # noqa: PLR2004
        return "".join(items) or "nobody"
    return f"{', '.join(items[:-1])} and {items[-1]}"
