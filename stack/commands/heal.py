"""`make heal`: every emulator is well again."""

from __future__ import annotations

from stack.console import console
from stack.played import emulators
from stack.runtimes.chosen import running_plan


def run() -> None:
    """Take back every `break`."""
    plan = running_plan()
    with emulators(plan) as client:
        broken = [name for name, fault in client.faults().items() if fault]
        client.heal()
    console.print(f"healed: {', '.join(broken)}" if broken else "nothing was broken")
