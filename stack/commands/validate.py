"""`make validate`: the collector's config, as far as it can be known before it runs."""

from __future__ import annotations

from rich.markup import escape

from stack.collector_build import ensure_collector_binary
from stack.config_check import lint
from stack.console import console
from stack.runtimes.native import checked_config
from stack.services import make_plan
from stack.settings import ROOT, load_settings


def run() -> None:
    """Check the collector's config with its own binary, and for what that lets pass."""
    settings = load_settings(ROOT)
    plan = make_plan(settings, ROOT, "native")
    ensure_collector_binary(plan.root, settings.collector_bin)
    checked_config(plan)
    lint(plan)
    for said in settings.ignored:
        console.print(f"[yellow]warning:[/] {escape(said)}", soft_wrap=True)
    chosen = f" with {', '.join(settings.fragments)}" if settings.fragments else ""
    console.print(f"{settings.collector_config}{chosen} is valid")
