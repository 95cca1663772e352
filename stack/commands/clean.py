"""`make clean`: what was built and recorded here, away."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from stack.console import console
from stack.errors import StackError
from stack.runtimes.chosen import RUNTIMES
from stack.runtimes.leftovers import run_folders
from stack.services import Plan, plan_to_stop
from stack.settings import ROOT, which_stack

MEGABYTE = 1e6
WHAT = {
    "access": "certificates and token of OTLP_ACCESS",
    "bin": "the collector",
    "data": "what services stored",
    "logs": "what services printed",
    "page": "the page",
    "queues": "what vendors have not got yet, and dead letters: lost with it",
    "telemetry": "the local record of traces, metrics and logs",
}


def run(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove what was built and recorded here, after showing it. Never while the stack runs."""
    settings = which_stack(ROOT)
    plan = plan_to_stop(settings, ROOT, "native")
    _check_stopped(plan)
    found = {path: _bytes(path) for path in sorted(_made(plan))}
    if not found:
        console.print("there is nothing to remove")
        return
    table = Table("MB", "", "", box=None, show_header=False)
    for path, size in found.items():
        said = WHAT.get(path.name.removesuffix("-venv"), "made again by `make up`")
        table.add_row(f"{size / MEGABYTE:.1f} MB", str(path), said)
    Console().print(table)
    if not yes:
        total = sum(found.values()) / MEGABYTE
        typer.confirm(f"Remove these {total:.0f} MB for good?", abort=True, err=True)
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    console.print(f"removed {sum(found.values()) / MEGABYTE:.0f} MB")


def _check_stopped(plan: Plan) -> None:
    for name, runtime in RUNTIMES.items():
        if runtime.is_running(plan_to_stop(plan.settings, plan.root, name)):
            raise StackError(f"the stack runs on the {name} runtime", "`make down` first")
    # Another RUN_DIR may lie below this one, and a killed supervisor leaves processes behind.
    places = {plan.run_dir, ROOT / ".run"}
    for used in run_folders():
        if any(used.is_relative_to(place) for place in places):
            raise StackError(f"a stack in {used} runs", f"`RUN_DIR={used} make down` first")


def _made(plan: Plan) -> Iterator[Path]:
    """Every name in `.run`; of a RUN_DIR elsewhere, which may hold other things, only ours."""
    own = ROOT / ".run"
    if own.is_dir():
        yield from own.iterdir()
    if not plan.run_dir.is_relative_to(own):
        yield from (folder for folder in plan.folders.values() if folder.is_dir())


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    return sum(file.lstat().st_size for file in files if file.is_symlink() or file.is_file())
