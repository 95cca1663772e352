"""How a tool begins and ends: as a command of the stack does."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import typer

from stack.entry import run_app


def run_function(main: Callable[..., None]) -> NoReturn:
    """Run `main`, the only command of its module."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_app(app)
