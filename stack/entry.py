"""How a command begins and ends: one line for whatever goes wrong, and its exit code."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import typer
from rich.markup import escape
from typer.exceptions import TyperException

from stack.console import console
from stack.errors import StackError, refusal

INTERRUPTED = 130
STACK = ".venv/bin/python -m stack"


def run_app(app: typer.Typer) -> NoReturn:
    """Run the command that the command line asks for."""
    # A stop from outside cleans up as Ctrl-C does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        # Outside of standalone mode typer turns an interrupt and typer.Exit into a return value.
        code = app(standalone_mode=False)
    except StackError as error:
        _end(error)
    except OSError as error:
        refused = refusal(error)
        if refused is None:
            raise
        _end(refused)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except TyperException as error:
        _show(error)
        sys.exit(getattr(error, "exit_code", 2))
    sys.exit(code if isinstance(code, int) else 0)


def _end(error: StackError) -> NoReturn:
    # The settings take half a second to import, and most commands end well.
    from stack.secrecy import redactor  # noqa: PLC0415
    from stack.settings import ROOT  # noqa: PLC0415

    # A vendor's answer is part of some, and may repeat the key that it refuses.
    said = redactor(ROOT, os.environ).text(str(error))
    console.print(f"[red]error:[/] {escape(said)}", soft_wrap=True)
    sys.exit(error.exit_code)


def _show(error: TyperException) -> None:
    """What is wrong with the command line, in one line; the library would print four."""
    said = error.format_message().replace("Value error, ", "").strip().rstrip(".")
    context = getattr(error, "ctx", None)
    if context is None or said.startswith("Usage:"):
        # Called without any word: what it says is the list of the commands.
        console.print(escape(said), soft_wrap=True)
        return
    how = f", or `{STACK} {context.info_name} --help`" if context.parent else ""
    text = f"{said[0].lower()}{said[1:]}; see `make help`{how}"
    console.print(f"[red]error:[/] {escape(text)}", soft_wrap=True)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
