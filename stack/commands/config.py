"""`stack config`: the collector's config, in the form that a distribution can run."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from stack.applied_config import wanted_config
from stack.collector_config import parse, render_for_adot
from stack.console import console
from stack.services import make_plan
from stack.settings import ROOT, load_settings


class Distribution(StrEnum):
    OWN = "own"
    CONTRIB = "contrib"
    ADOT = "adot"


def run(
    for_: Annotated[
        Distribution, typer.Option("--for", help="Who is to run it.")
    ] = Distribution.OWN,
) -> None:
    """Print the collector's config; what a distribution cannot do is left out, and named."""
    plan = make_plan(load_settings(ROOT), ROOT, "native")
    wanted = wanted_config(plan)
    if for_ is not Distribution.ADOT:
        print(wanted, end="")
        return
    text, losses = render_for_adot(parse(wanted, plan.config_source))
    for loss in losses:
        console.print(f"  not in ADOT: {loss}", soft_wrap=True)
    print(text, end="")
