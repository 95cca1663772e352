"""The command line: a table of commands."""

from __future__ import annotations

import ast
import platform
import resource
import sys
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from stack.entry import run_app

COMMANDS = (
    "up", "dev", "down", "verify", "status", "doctor", "validate", "reload", "break", "heal",
    "provision", "queries", "logs", "config", "certificates", "replay", "env",
    "traces", "trace", "import", "add-service", "restart", "clean", "ports",
)  # fmt: skip

FOLDER = Path(__file__).parent / "commands"

HELP = """Runs the stack, and shows what it did.

\b
Settings stand in .env or before a command; .env.example explains each of them.
  RUNTIME=native|docker   containers, or processes of this machine     README.md
  WITH=jaeger,elastic     more vendors                                 docs/swap-a-vendor.md
  HONEYCOMB_API_KEY, ROLLBAR_ACCESS_TOKEN, AWS_TELEMETRY=live
                          vendors that are not emulated                docs/aws.md
  PORT_OFFSET=100         every port, moved; one by its own name       make ports
  OTLP_ACCESS, OTLP_BIND  who may send, and from where                 docs/security.md
  PUBLIC_URL              where browsers find the page                 docs/cloud-workspace.md
  SAMPLE_APP=off PAGE=off only your own services                       docs/docker-compose.md
  COLLECTOR_CONFIG, COLLECTOR_BIN, COLLECTOR_IMAGE
                          another config or collector                  docs/architecture.md
"""


def app_for(word: str | None) -> typer.Typer:
    """The command that `word` names, else a list of all of them, of which none is imported: each
    takes up to a second.
    """
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        # Rich's would import a Markdown parser.
        rich_markup_mode=None,
    )
    # With a callback it is a table also where there is one command.
    app.callback(help=HELP)(_options)
    if word in COMMANDS:
        app.command(name=word)(import_module(f"stack.commands.{_file(word)}").run)
    else:
        for name in COMMANDS:
            app.command(name=name, help=_help(name))(lambda: None)
    return app


def _file(name: str) -> str:
    # A word of Python's has an underscore behind it as a module's name.
    return f"{name.replace('-', '_')}{'_' if iskeyword(name) else ''}"


def _help(name: str) -> str | None:
    body = ast.parse((FOLDER / f"{_file(name)}.py").read_text()).body
    [run] = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == "run"]
    return ast.get_docstring(run)


def _print_version(asked: bool) -> None:
    if asked:
        from stack.services import service_version  # noqa: PLC0415 - imports the settings
        from stack.settings import ROOT  # noqa: PLC0415

        print(f"otel-stack {service_version(ROOT)}, Python {platform.python_version()}")
        raise typer.Exit


def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """What stands before a command."""


def main() -> NoReturn:
    # A core file holds the environment, keys included. What is started here inherits the limit, and
    # cannot raise it.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    run_app(app_for(next((word for word in sys.argv[1:] if not word.startswith("-")), None)))
