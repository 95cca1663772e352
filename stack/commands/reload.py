"""`make reload`: an edited collector config takes effect."""

from __future__ import annotations

from stack.announce import announce
from stack.console import console
from stack.reload import reload
from stack.runtimes.chosen import running_plan


def run() -> None:
    """Apply the edited config; refuse a bad one; lose nothing."""
    plan = running_plan()
    announce(plan)
    changed = reload(plan)
    console.print("the new config is in effect" if changed else "the config did not change")
