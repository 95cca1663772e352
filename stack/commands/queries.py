"""`make queries`: the team's Honeycomb queries, created from honeycomb/queries."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from stack.accounts import honeycomb, is_live
from stack.announce import announce
from stack.runtimes.chosen import running_plan
from stack.services import make_plan
from stack.settings import ROOT, load_settings
from stack.vendors.honeycomb.api import load_queries, save_queries


def run(
    dataset: Annotated[
        str | None,
        typer.Option(help="A service's name; without it each that people call. __all__: all."),
    ] = None,
) -> None:
    """Create each query that is not there yet, under its name."""
    settings = load_settings(ROOT)
    live = is_live(settings, "honeycomb")
    plan = make_plan(settings, ROOT, "native") if live else running_plan()
    announce(plan, running=not live)
    # Honeycomb's datasets are called as the services.
    for chosen in [dataset] if dataset else plan.called:
        for saved in save_queries(honeycomb(settings), chosen, load_queries(ROOT)):
            Console().print(
                f"{saved.action:<10} {chosen} {saved.name} ({saved.query_id})", soft_wrap=True
            )
