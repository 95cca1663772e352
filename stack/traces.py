"""Traces in the local record: the last ones, and one of them as a tree."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from stack.errors import StackError, quoted
from stack.telemetry import Event, Log, Span, read_logs, read_spans, record_files, spans_backwards

SHORTEST_ID = 6
ID_DIGITS = 32
SHOWN_DIGITS = 8
"""Of an id, where its beginning is enough: among 100,000 traces two are alike once in a while."""

STATUS = ("http.response.status_code", "http.status_code")

LATE_NS = 10 * 10**9
"""A span arrives at most so much later than it ended, unless the collector was away."""

_XRAY_ID = re.compile(r"1-([0-9a-f]{8})-([0-9a-f]{24})")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def trace_command(trace_id: str) -> str:
    """What shows one trace in the terminal."""
    return f"make trace ID={trace_id[:SHOWN_DIGITS]}"


@dataclass(frozen=True)
class Summary:
    """A trace in one line. `service`, `name`, `status` (of HTTP, or ""): of the span that it begins
    with. Times are nanoseconds since 1970.
    """

    trace_id: str
    start: int
    end: int
    service: str
    name: str
    status: str
    spans: int
    errors: int
    services: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / 1e9


def last_traces(
    folder: Path, wanted: Callable[[Summary], bool], limit: int, since: int = 0
) -> list[Summary]:
    """The latest `limit` traces that are wanted and began after `since`, the newest first.

    The record is read from its end, and no further than needed.
    """
    found: list[Summary] = []
    growing: dict[str, list[Span]] = {}
    seen: set[str] = set()

    def take(trace_ids: Iterable[str]) -> None:
        for trace_id in trace_ids:
            seen.add(trace_id)
            summary = summarize(growing.pop(trace_id))
            if summary.start >= since and wanted(summary):
                found.append(summary)

    files = record_files(folder, "traces")
    for spans in filter(None, chain(*(spans_backwards(file, STATUS) for file in files))):
        for span in spans:
            if span.trace_id not in seen:
                growing.setdefault(span.trace_id, []).append(span)
        # One sender whose clock is wrong does not count.
        ends = sorted(span.end for span in spans)
        now = ends[len(ends) * 9 // 10] + LATE_NS
        take([one for one, of in growing.items() if min(span.start for span in of) > now])
        if len(found) >= limit or now < since:
            break
    else:
        take(list(growing))
    return sorted(found, key=lambda one: one.start, reverse=True)[:limit]


def summarize(spans: Sequence[Span]) -> Summary:
    """One line about the spans of one trace, at least one."""
    first = entry(spans)
    status = status_of(first) or next(filter(None, map(status_of, in_time(spans))), "")
    return Summary(
        first.trace_id,
        start=min(span.start for span in spans),
        end=max(span.end for span in spans),
        service=first.service,
        name=first.name,
        status=status,
        spans=len({span.span_id for span in spans}),
        errors=sum(span.status == "ERROR" for span in spans),
        services=tuple(dict.fromkeys(span.service for span in in_time(spans))),
    )


def entry(spans: Sequence[Span]) -> Span:
    """The span that a trace begins with, as Jaeger names a trace: none of the others is its parent,
    a root rather than one whose parent is not here, the earliest.
    """
    ids = {span.span_id for span in spans}
    tops = [span for span in spans if span.parent_id not in ids] or spans
    return min(tops, key=lambda span: (bool(span.parent_id), span.start))


def in_time(spans: Iterable[Span]) -> list[Span]:
    return sorted(spans, key=lambda span: span.start)


def status_of(span: Span) -> str:
    """The status of its HTTP answer, or ""."""
    return next((str(span.attributes[name]) for name in STATUS if name in span.attributes), "")


@dataclass
class Node:
    """A span and what belongs under it. `detached`: its parent is not in the record."""

    span: Span
    detached: bool = False
    children: list[Node] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)

    def below(self) -> list[Node | Event | Log]:
        """Children, events and log records, in the order in which they happened."""
        every: list[Node | Event | Log] = [*self.children, *self.span.events, *self.logs]
        return sorted(every, key=_when)


def _when(one: Node | Event | Log) -> int:
    return one.span.start if isinstance(one, Node) else nanoseconds(one)


def nanoseconds(one: Event | Log) -> int:
    """When it happened, since 1970."""
    return one.time if isinstance(one, Event) else int(one.time * 1e9)


@dataclass(frozen=True)
class Trace:
    """`tops`: the spans without a parent here. `logs`: log records whose span is not here."""

    summary: Summary
    tops: Sequence[Node]
    logs: Sequence[Log]

    def walk(self) -> Iterator[Node]:
        """Every span, each before what is below it."""
        waiting = [*reversed(self.tops)]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(node.children)


def make_tree(spans: Sequence[Span], logs: Iterable[Log] = ()) -> Trace:
    """The spans of one trace, at least one, under their parents. A span that was delivered twice is
    there once.
    """
    distinct = {(span.span_id, span.service, span.name, span.start): span for span in spans}
    nodes = [Node(span) for span in in_time(distinct.values())]
    by_id = {node.span.span_id: node for node in reversed(nodes)}
    tops: list[Node] = []
    for node in nodes:
        parent = by_id.get(node.span.parent_id)
        node.detached = parent is None and bool(node.span.parent_id)
        (parent.children if parent else tops).append(node)
    _cut_circles(nodes, tops)
    lost: list[Log] = []
    for log in logs:
        holder = by_id.get(log.span_id)
        (holder.logs if holder else lost).append(log)
    return Trace(
        summarize([node.span for node in nodes]), sorted(tops, key=_when), sorted(lost, key=_when)
    )


def _cut_circles(nodes: Sequence[Node], tops: list[Node]) -> None:
    """Spans that are each other's parents: the earliest is shown on top."""
    reached: set[int] = set()

    def reach(node: Node) -> None:
        waiting = [node]
        while waiting:
            one = waiting.pop()
            reached.add(id(one))
            waiting += one.children

    for top in tops:
        reach(top)
    for node in nodes:
        if id(node) not in reached:
            for other in nodes:
                other.children = [child for child in other.children if child is not node]
            node.detached = True
            tops.append(node)
            reach(node)


def find_trace(folder: Path, given: str) -> Trace:
    """The one trace whose id begins with `given`. X-Ray's form and a whole traceparent will do.

    Raises StackError for what is no id, for one that is not in the record, and for a beginning
    that several have.
    """
    beginning = _digits(given)
    files = record_files(folder, "traces")
    spans = [span for file in reversed(files) for span in read_spans(file, beginning)]
    ids = list(dict.fromkeys(span.trace_id for span in spans))
    if not ids:
        check_record(folder)
        raise StackError(
            f"no trace whose id begins with {beginning} is in {folder}",
            "`make traces` lists the last ones; what was not sampled is nowhere, and the oldest "
            "traces go when the record is full",
        )
    if len(ids) > 1:
        listed = textwrap.shorten(", ".join(ids), 4 * ID_DIGITS, placeholder=" …")
        raise StackError(
            f"{len(ids)} traces begin with {beginning}: {listed}", "give more of its id"
        )
    logs = (
        log for file in reversed(record_files(folder, "logs")) for log in read_logs(file, ids[0])
    )
    return make_tree(spans, logs)


def _digits(given: str) -> str:
    text = given.strip().lower()
    for form in (_XRAY_ID, _TRACEPARENT):
        if match := form.fullmatch(text):
            return "".join(match.groups())
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST_ID},{ID_DIGITS}}}", text):
        raise StackError(
            f"{quoted(given)} is no trace id",
            f"an id has {ID_DIGITS} digits from 0 to f, and the first {SHOWN_DIGITS} are mostly "
            "enough; `make traces` lists the last ones",
        )
    return text


def check_record(folder: Path) -> None:
    """Raises StackError where nothing was recorded."""
    if not any(file.stat().st_size for file in record_files(folder, "traces")):
        raise StackError(
            f"no trace is recorded in {folder} yet", "`make up` sends the first, `make verify` one"
        )
