"""`make traces`: the last traces of the local record."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stack.console import console, shown, took
from stack.services import plan_to_stop
from stack.settings import ROOT, which_stack
from stack.traces import SHOWN_DIGITS, Summary, check_record, last_traces, trace_command

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
PIPE_WIDTH = 240
STATUS = re.compile(r"error|[1-5](\d\d|xx)")


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|min|h|d)", text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no length of time; write 200ms, 1.5s, 10min or 2h")
    return float(match[1]) * UNITS[match[2]]


def _status(text: str) -> str:
    if not STATUS.fullmatch(text.lower()):
        raise typer.BadParameter(f"{text!r} is no status; write error, 404 or 5xx")
    return text.lower()


def run(
    *,
    service: Annotated[str | None, typer.Option(help="Only with a span of this service.")] = None,
    status: Annotated[
        str | None, typer.Option(parser=_status, help="error, or of HTTP: 404, 5xx.")
    ] = None,
    slower: Annotated[
        float | None, typer.Option(parser=_seconds, help="Only what took longer: 200ms, 1.5s.")
    ] = None,
    since: Annotated[
        float | None, typer.Option(parser=_seconds, help="Only what began lately: 10min, 2h.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """List the last traces that were recorded, the newest at the end; also of a stack that is not
    up any more.
    """
    folder = plan_to_stop(which_stack(ROOT), ROOT, "native").telemetry_dir
    check_record(folder)
    began = int((time.time() - since) * 1e9) if since else 0
    found = last_traces(folder, _wanted(service, status, slower), limit, began)[::-1]
    if as_json:
        print(json.dumps([as_object(one) for one in found]))
    elif found:
        # Only a terminal is narrow.
        Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table(found))
        console.print(f"{trace_command(found[-1].trace_id)} shows the last one", soft_wrap=True)
    else:
        console.print("no trace in the record is like that", soft_wrap=True)


def _wanted(
    service: str | None, status: str | None, slower: float | None
) -> Callable[[Summary], bool]:
    def wanted(one: Summary) -> bool:
        return (
            (service is None or service in one.services)
            and (slower is None or one.seconds > slower)
            and (status is None or _has(one, status))
        )

    return wanted


def _has(one: Summary, status: str) -> bool:
    if status == "error":
        return one.errors > 0
    return one.status.startswith(status.rstrip("x")) and len(one.status) == len(status)


def as_object(one: Summary) -> dict[str, Any]:
    """As JSON has it: times in ISO 8601, the duration in milliseconds."""
    start = datetime.fromtimestamp(one.start / 1e9).astimezone().isoformat()
    kept = {name: value for name, value in asdict(one).items() if name not in {"start", "end"}}
    return {"start": start, "duration_ms": round(one.seconds * 1e3, 3), **kept}


def table(found: Sequence[Summary]) -> Table:
    """A row for each trace."""
    columns = Table(box=None, pad_edge=False)
    columns.add_column("time", no_wrap=True)
    # In a narrow terminal these two give way.
    columns.add_column("service")
    columns.add_column("name")
    columns.add_column("status", no_wrap=True)
    for column in ("duration", "spans"):
        columns.add_column(column, justify="right", no_wrap=True)
    columns.add_column("trace", no_wrap=True)
    today = datetime.now().astimezone().date()
    for one in found:
        at = datetime.fromtimestamp(one.start / 1e9).astimezone()
        status = one.status or "-"
        columns.add_row(
            f"{at:%H:%M:%S}" if at.date() == today else f"{at:%m-%d %H:%M:%S}",
            _cut(one.service),
            _cut(one.name),
            f"[red]{shown(status)} error[/]" if one.errors else shown(status),
            took(one.seconds),
            str(one.spans),
            one.trace_id[:SHOWN_DIGITS],
        )
    return columns


def _cut(text: str) -> Text:
    cut = Text.from_markup(shown(text), overflow="ellipsis")
    cut.no_wrap = True
    return cut
