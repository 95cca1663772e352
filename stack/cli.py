"""The command line: a table of commands."""

from __future__ import annotations

import resource
from typing import NoReturn

import typer

from stack.commands import (
    break_,
    certificates,
    config,
    dev,
    doctor,
    down,
    heal,
    logs,
    provision,
    queries,
    reload,
    replay,
    status,
    up,
    validate,
    verify,
)
from stack.entry import run_app

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Runs the stack, and shows what it did.",
)
COMMANDS = (
    up, dev, down, verify, status, doctor, validate, reload, break_, heal, provision, queries, logs,
    config, certificates, replay
)  # fmt: skip
for module in COMMANDS:
    app.command(name=module.__name__.rpartition(".")[2].rstrip("_"))(module.run)


def main() -> NoReturn:
    # A core file holds the environment, keys included. What is started here inherits the limit, and
    # cannot raise it.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    run_app(app)
