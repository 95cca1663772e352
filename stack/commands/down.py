"""`make down`: nothing is left running."""

from __future__ import annotations

from stack.console import console, step
from stack.runtimes.chosen import RUNTIMES, in_order
from stack.services import plan_to_stop
from stack.settings import ROOT, which_stack


def run() -> None:
    """Stop everything that `up` started. What was recorded and queued stays in .run/."""
    # Not all settings: a slip in `.env` or in the collector's config must not keep a stack running.
    settings = which_stack(ROOT)
    stopped = []
    for name in in_order(settings.runtime):
        runtime = RUNTIMES[name]
        plan = plan_to_stop(settings, ROOT, name)
        if runtime.is_running(plan):
            with step(f"stopping the {name} runtime"):
                runtime.down(plan)
            stopped.append(name)
        elif runtime.down(plan):
            # A killed supervisor or a half-started project had left something.
            console.print(f"ended what was left of the {name} runtime")
            stopped.append(name)
    if not stopped:
        console.print("nothing was running")
