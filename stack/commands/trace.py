"""`make trace ID=…`: one trace, from service to service."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from stack.commands.traces import as_object
from stack.console import count, shown, took
from stack.services import plan_to_stop
from stack.settings import ROOT, which_stack
from stack.telemetry import Event, Log, Span
from stack.traces import Node, Trace, find_trace, nanoseconds, status_of

SKEW_NS = 10 * 10**6
"""Browsers round their clock."""
ON_THE_WAY_SECONDS = 5


def run(
    trace_id: Annotated[
        str, typer.Argument(metavar="ID", help="A trace's id, or the first digits of one.")
    ],
    attributes: Annotated[
        bool, typer.Option("--attributes", "-a", help="What each span says of itself, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show one trace of the local record: every service's spans, events and log records."""
    folder = plan_to_stop(which_stack(ROOT), ROOT, "native").telemetry_dir
    trace = find_trace(folder, trace_id)
    if as_json:
        print(json.dumps(_as_object(trace)))
        return
    terminal = Console(highlight=False)
    for line in lines(trace, attributes=attributes):
        terminal.print(line, soft_wrap=True)


def lines(trace: Trace, *, attributes: bool = False) -> Iterator[str]:
    """What is printed, as markup: a line for each span, event and log record, with the time since
    the trace began.
    """
    yield _head(trace)
    yield ""
    began = trace.summary.start
    waiting: list[tuple[Node | Event | Log, Span | None, str, str]]
    waiting = [(top, None, "", "") for top in reversed(trace.tops)]
    while waiting:
        one, parent, guide, below = waiting.pop()
        if not isinstance(one, Node):
            yield f"{_since(nanoseconds(one), began)}{'':12}{guide}{_said(one)}"
            continue
        seconds = (one.span.end - one.span.start) / 1e9
        long = took(seconds) if seconds >= 0 else "-"
        yield f"{_since(one.span.start, began)} {long:>9}  {guide}{_span(one, parent)}"
        under = one.below()
        if attributes:
            for name, value in sorted(one.span.attributes.items()):
                bar = below + ("│  " if under else "   ")
                yield f"{'':22}{bar}[dim]{shown(name)}={shown(_flat(value))}[/]"
        last = len(under) - 1
        waiting += reversed(
            [
                (each, one.span, f"{below}└─ ", f"{below}   ")
                if at == last
                else (each, one.span, f"{below}├─ ", f"{below}│  ")
                for at, each in enumerate(under)
            ]
        )
    if trace.logs:
        yield ""
        yield "log records of spans that are not in the record:"
        for log in trace.logs:
            yield f"{_since(nanoseconds(log), began)}{'':12}{_said(log)}"
    if time.time() - trace.summary.end / 1e9 < ON_THE_WAY_SECONDS:
        yield "[dim]more of it may still be on its way[/]"


def _head(trace: Trace) -> str:
    one = trace.summary
    at = datetime.fromtimestamp(one.start / 1e9).astimezone()
    counted = [(one.spans, "span"), (len(one.services), "service"), (one.errors, "error")]
    parts = (count(number, word) for number, word in counted if number)
    return f"trace [bold]{one.trace_id}[/] · {at:%Y-%m-%d %H:%M:%S} · {took(one.seconds)} · " + (
        " · ".join(parts)
    )


def _since(when: int, began: int) -> str:
    # What a wrong clock puts before the beginning has a sign.
    return f"{(when - began) / 1e6:+7.0f} ms" if when < began else f"{(when - began) / 1e6:7.0f} ms"


def _span(node: Node, parent: Span | None) -> str:
    span = node.span
    name, status = shown(span.name), shown(status_of(span))
    if span.status == "ERROR":
        name = f"[red]{name} {status} ✗ {shown(_flat(span.message))}".rstrip() + "[/]"
    elif status:
        name = f"{name} [dim]{status}[/]"
    remark = _remark(node, parent)
    return f"[bold]{shown(span.service)}[/] {name}" + (f" [yellow]({remark})[/]" if remark else "")


def _remark(node: Node, parent: Span | None) -> str:
    """What of its place is unusual."""
    if node.detached:
        return f"its parent {shown(node.span.parent_id)} is not in the record"
    if parent is None:
        return ""
    if node.span.start > parent.end:
        return f"began {took((node.span.start - parent.end) / 1e9)} after its parent ended"
    if node.span.start < parent.start - SKEW_NS:
        return "began before its parent: their clocks differ"
    return ""


def _said(one: Event | Log) -> str:
    if isinstance(one, Log):
        colour = "red" if one.severity.upper() in {"ERROR", "FATAL", "CRITICAL"} else "cyan"
        return f"[{colour}]{shown(one.severity or 'LOG')}[/] {shown(_flat(one.body))}"
    if one.name == "exception":
        kind, message = (
            one.attributes.get(f"exception.{part}", "") for part in ("type", "message")
        )
        return f"[red]exception {shown(_flat(kind))}: {shown(_flat(message))}[/]"
    more = " ".join(
        f"{shown(name)}={shown(_flat(value))}" for name, value in one.attributes.items()
    )
    return f"[cyan]event[/] {shown(one.name)} {more}".rstrip()


def _flat(value: object) -> str:
    """On one line."""
    return " ".join(str(value).split())


def _as_object(trace: Trace) -> dict[str, Any]:
    depths = {id(top): 0 for top in trace.tops}
    spans = []
    for node in trace.walk():
        depth = depths[id(node)]
        depths |= {id(child): depth + 1 for child in node.children}
        logs = [asdict(log) for log in node.logs]
        place = {"depth": depth, "detached": node.detached, "service": node.span.service}
        spans.append({**place, **asdict(node.span), "logs": logs})
    return {
        **as_object(trace.summary),
        "tree": spans,
        "logs": [asdict(log) for log in trace.logs],
    }
