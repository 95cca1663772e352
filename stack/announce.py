"""The first line of every command."""

from __future__ import annotations

from collections.abc import Iterator

from rich.markup import escape

from stack.applied_config import applied_config
from stack.collector_config.distribution import component_type
from stack.collector_config.resolved import read
from stack.config_traps.look import NOT_A_VENDOR
from stack.console import console
from stack.errors import StackError
from stack.routes import routes
from stack.services import Plan


def announce(plan: Plan, *, running: bool = True) -> None:
    """Say which runtime it is and who gets something: live, played, or by a part of the config that
    the stack knows nothing of. And which names in `.env` are ignored.

    `running`: whether the config is the one that the collector runs with, or the edited one.
    """
    receiving = _receiving(plan, running=running)
    known = {vendor.name for vendor in plan.vendors}
    shown = [
        vendor
        for vendor in plan.vendors
        # Where the config cannot be followed, all of them: what is wrong with it is said later. One
        # that the app or the page sends to is in no pipeline.
        if receiving is None or vendor.name in receiving or vendor.app or vendor.page
    ]
    others = [name for name in (*(receiving or ()), *plan.settings.fragments) if name not in known]
    asked = [way for way in plan.access.ways if way != "open"]
    who = " · ".join(
        f"{how}: {', '.join(names)}"
        for how, names in (
            ("live", [vendor.name for vendor in shown if vendor.live]),
            ("played by emulators", [vendor.name for vendor in shown if not vendor.live]),
            ("with", [*dict.fromkeys(others)]),
            ("OTLP asks for", asked),
        )
        if names
    )
    console.print(f"[bold]{plan.runtime}[/] runtime · {escape(who)}", soft_wrap=True)
    for said in plan.settings.ignored:
        console.print(f"[yellow]warning:[/] {escape(said)}", soft_wrap=True)


def addresses(plan: Plan) -> Iterator[tuple[str, str]]:
    """Where people go: the page, and each service that they call."""
    if plan.page_url:
        yield "page", plan.page_url
    for process in plan.verified:
        yield process.name, f"{process.url}{process.proof_path}"


def _receiving(plan: Plan, *, running: bool) -> list[str] | None:
    """The vendors that the collector's pipelines lead to; None where they cannot be followed."""
    try:
        if running:
            config = applied_config(plan)
        else:
            config = read(plan.config_sources, plan.process("collector").environment).tree
        found = routes(config)
    except (StackError, KeyError, TypeError, ValueError, AttributeError):
        return None
    return [route.vendor for route in found if component_type(route.exporter) not in NOT_A_VENDOR]
