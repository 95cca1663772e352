"""The first line of every command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stack.console import console

if TYPE_CHECKING:
    from stack.plan import Plan


def announce(plan: Plan) -> None:
    """Say which runtime it is, which vendor is live or played, and which fragments there are."""
    live = [vendor.name for vendor in plan.vendors if vendor.live]
    played = [vendor.name for vendor in plan.vendors if not vendor.live]
    besides = plan.settings.fragments
    asked = [way for way in plan.access.ways if way != "open"]
    who = " · ".join(
        f"{how}: {', '.join(names)}"
        for how, names in (
            ("live", live),
            ("played by stand-ins", played),
            ("with", besides),
            ("OTLP asks for", asked),
        )
        if names
    )
    console.print(f"[bold]{plan.runtime}[/] runtime · {who}", soft_wrap=True)
