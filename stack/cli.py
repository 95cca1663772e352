"""The command line: a table of commands, and one line for whatever goes wrong."""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.markup import escape

from stack.commands import (
    audit,
    break_,
    certificates,
    config,
    dev,
    doctor,
    down,
    faults,
    heal,
    lock,
    logs,
    provision,
    queries,
    reload,
    replay,
    sbom,
    status,
    test,
    up,
    validate,
    verify,
)
from stack.console import console
from stack.errors import StackError
from stack.secrecy import redactor
from stack.settings import ROOT

if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Runs the stack, and shows what it did.",
)
COMMANDS = (
    up, dev, down, verify, status, doctor, validate, reload, break_, heal, provision, queries, logs,
    config, certificates, replay, test, faults, lock, sbom, audit
)  # fmt: skip
for module in COMMANDS:
    app.command(name=module.__name__.rpartition(".")[2].rstrip("_"))(module.run)


def main() -> NoReturn:
    # A core file holds the environment, keys included. What is started here inherits the limit, and
    # cannot raise it.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A stop from outside cleans up as Ctrl-C does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        # Outside of standalone mode typer turns an interrupt and typer.Exit into a return value.
        code = app(standalone_mode=False)
    except StackError as error:
        # A vendor's answer is part of some, and may repeat the key that it refuses.
        said = redactor(ROOT, os.environ).text(str(error))
        console.print(f"[red]error:[/] {escape(said)}", soft_wrap=True)
        sys.exit(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except Exception as error:
        # click's usage errors; they know how to show themselves.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(getattr(error, "exit_code", 2))
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
