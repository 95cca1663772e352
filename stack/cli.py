"""The command line: a table of commands."""

from __future__ import annotations

import resource
import sys
from importlib import import_module
from keyword import iskeyword
from typing import NoReturn

import typer

from stack.entry import run_app

COMMANDS = (
    "up", "dev", "down", "verify", "status", "doctor", "validate", "reload", "break", "heal",
    "provision", "queries", "logs", "config", "certificates", "replay", "env",
    "traces", "trace", "import", "add-service",
)  # fmt: skip

_MODULES = {"break": "break_", "add-service": "add_service"}
"""Where a command's name is no module's."""


def app_for(word: str | None) -> typer.Typer:
    """The command that `word` names, else all of them: to import each takes a second."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    # With a callback it is a table also where there is one command.
    app.callback(help="Runs the stack, and shows what it did.")(lambda: None)
    for name in [word] if word in COMMANDS else COMMANDS:
        # A word of Python's has an underscore behind it as a module's name.
        file = f"{name.replace('-', '_')}{'_' if iskeyword(name) else ''}"
        module = import_module(f"stack.commands.{file}")
        app.command(name=name)(module.run)
    return app


def main() -> NoReturn:
    # A core file holds the environment, keys included. What is started here inherits the limit, and
    # cannot raise it.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    run_app(app_for(sys.argv[1] if sys.argv[1:] else None))
