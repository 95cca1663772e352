"""`stack config`: the collector's config, in the form that a distribution can run."""

from __future__ import annotations

from typing import Annotated

import typer

from stack.applied_config import tell_losses, wanted_config
from stack.collector_config import Distribution, parse, render_form
from stack.services import make_plan
from stack.settings import ROOT, load_settings


def run(
    for_: Annotated[Distribution, typer.Option("--for", help="Who is to run it.")] = "own",
) -> None:
    """Print the collector's config; what a distribution cannot do is left out, and named."""
    plan = make_plan(load_settings(ROOT), ROOT, "native")
    wanted = wanted_config(plan)
    text, losses = render_form(for_, parse(wanted, plan.config_source))
    tell_losses(for_, losses)
    print(text if losses else wanted, end="")
