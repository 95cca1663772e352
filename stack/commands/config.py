"""`stack config`: the collector's config, in the form that a distribution can run."""

from __future__ import annotations

from typing import Annotated

import typer

from stack.applied_config import staged, tell_losses, wanted_config
from stack.collector_config.distribution import Distribution
from stack.collector_config.files import REDACTION_FILE, load_together
from stack.collector_config.forms import render_form
from stack.fragments import load_file, merge
from stack.services import make_plan
from stack.settings import ROOT, load_settings


def run(
    for_: Annotated[Distribution, typer.Option("--for", help="Who is to run it.")] = "own",
) -> None:
    """Print the collector's config; what a distribution cannot do is left out, and named."""
    plan = make_plan(load_settings(ROOT), ROOT, "native")
    wanted = wanted_config(plan)
    if for_ == "own":
        # Whoever takes it elsewhere takes one file.
        patterns = [load_file(REDACTION_FILE, ROOT)] if plan.patterns_source else []
        print(merge(wanted.config, patterns), end="")
        return
    text, losses = render_form(for_, load_together(staged(plan, wanted)))
    tell_losses(for_, losses)
    print(text, end="")
