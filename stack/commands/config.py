"""`stack config`: the collector's config, in the form that a distribution can run."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from stack.collector_config import load, render_for_adot
from stack.console import console
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
    file = ROOT / load_settings(ROOT).collector_config
    if for_ is not Distribution.ADOT:
        print(file.read_text(), end="")
        return
    text, losses = render_for_adot(load(file))
    for loss in losses:
        console.print(f"  not in ADOT: {loss}", soft_wrap=True)
    print(text, end="")
