"""The collector's local record, read back: OTLP as JSON, one export a line."""

from __future__ import annotations

import io
import json
import os
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
LOST = "telemetry.lost"
RECORD = {signal: f"{signal}.jsonl" for signal in ("traces", "metrics", "logs")}
"""The newest file of each signal, in the telemetry folder."""
STATUSES = ("UNSET", "OK", "ERROR")

BLOCK = 1 << 20
"""Bytes that are read at once: a record of four files of 64 MB is never in memory."""


@dataclass(frozen=True)
class Event:
    """`time` in nanoseconds since 1970."""

    name: str
    attributes: Mapping[str, Any]
    time: int = 0


@dataclass(frozen=True)
class Span:
    """One span. Ids are lower-case hex, `parent_id` is "" at a root; times are nanoseconds since
    1970. `message`: what an error says of itself.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    status: str
    start: int
    end: int
    scope: str
    resource: Mapping[str, Any]
    attributes: Mapping[str, Any]
    events: tuple[Event, ...] = field(default_factory=tuple)
    message: str = ""

    @property
    def service(self) -> str:
        return str(self.resource.get("service.name", ""))


@dataclass(frozen=True)
class Point:
    """One data point of a metric. `value` is a number, for a histogram its count; `time` is in
    seconds since 1970.
    """

    metric: str
    unit: str
    scope: str
    value: float
    time: float
    resource: Mapping[str, Any]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Log:
    """One log record. `time`: when it was written, else observed, in seconds since 1970.
    `sampled`: whether its trace is to be recorded.
    """

    trace_id: str
    span_id: str
    time: float
    sampled: bool
    severity: str
    body: Any
    scope: str
    resource: Mapping[str, Any]
    attributes: Mapping[str, Any]

    @property
    def service(self) -> str:
        return str(self.resource.get("service.name", ""))


def record_files(folder: Path, signal: str) -> list[Path]:
    """The files of one signal that are there, the newest first: the collector begins a new one when
    one is full, and keeps three.
    """
    rotated = sorted(folder.glob(f"{signal}-*.jsonl"), reverse=True)
    return [file for file in (folder / RECORD[signal], *rotated) if file.exists()]


def spans_backwards(file: Path, attributes: Collection[str]) -> Iterator[list[Span]]:
    """The spans of a file from its end to its beginning, some hundred lines at a time; only with
    these of their attributes.
    """
    for lines in _blocks_backwards(file):
        yield [span for export in _exports(lines) for span in _spans(export, attributes)]


def read_spans(file: Path, trace_id: str | None = None, offset: int = 0) -> list[Span]:
    """The spans of `file` from byte `offset` on; of one trace where `trace_id`, or the beginning of
    one, is given.

    A file that is not there yet holds none. A last line without its end is left for later.
    """
    return [
        span
        for export in _exports(_lines(file, trace_id, offset))
        for span in _spans(export)
        if trace_id is None or span.trace_id.startswith(trace_id)
    ]


@dataclass(frozen=True)
class Recorded:
    """How much there is of one service. `points`: of metrics. `last`: of when the latest of all is,
    seconds since 1970.
    """

    service: str
    spans: int
    points: int
    logs: int
    last: float


def recorded_by_service(folder: Path) -> list[Recorded]:
    """What the newest files of a telemetry folder hold of each service, in the order of names.

    Only what is counted is looked at: 64 MB, where the collector begins a new file, take about a
    second.
    """
    counts = {signal: Counter[str]() for signal in RECORD}
    last: dict[str, float] = {}
    for signal, file in RECORD.items():
        for service, nanoseconds in _times(signal, _exports(_lines(folder / file, None, 0))):
            counts[signal][service] += 1
            last[service] = max(last.get(service, 0.0), nanoseconds / 1e9)
    spans, points, logs = (counts[signal] for signal in RECORD)
    return [
        Recorded(service, spans[service], points[service], logs[service], last[service])
        for service in sorted(last)
    ]


def _times(signal: str, exports: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, int]]:
    """Of each span, data point or log record its service, and its time in nanoseconds."""
    names = {
        "traces": ("resourceSpans", "scopeSpans", "spans"),
        "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
        "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    }[signal]
    for export in exports:
        for resource, _, item in _items(export, *names):
            service = str(resource.get("service.name", ""))
            for one in _data_points(item) if signal == "metrics" else (item,):
                yield service, int(one.get("endTimeUnixNano") or one.get("timeUnixNano") or 0)


@dataclass(frozen=True)
class Lost:
    """Spans (`traces`), log records (`logs`) or data points (`metrics`) that a service made and
    did not deliver to the collector. `reason`: `queue_full`, `refused`, `away` or `unencodable`,
    as the distro counts them. `last`: when it counted the latest, seconds since 1970.
    """

    service: str
    signal: str
    reason: str
    items: int
    last: float

    @property
    def sentence(self) -> str:
        """Of what, and why."""
        what = {"traces": "spans", "logs": "log records", "metrics": "data points"}
        why = {
            "queue_full": "its queue was full while the collector was away",
            "refused": "the collector refused them",
            "away": "the collector was away for too long",
            "unencodable": "protobuf could not encode them; the service's log says why",
        }
        return (
            f"{self.items} {what.get(self.signal, self.signal)}: "
            f"{why.get(self.reason, self.reason)}"
        )


LATELY_SECONDS = 24 * 3600.0
"""What a service lost longer ago is history: the record has it, `make status` does not."""


def lost_lately(file: Path, now: float | None = None) -> list[Lost]:
    """What of `lost_by_service` is not history yet."""
    since = (time.time() if now is None else now) - LATELY_SECONDS
    return [lost for lost in lost_by_service(file) if lost.last >= since]


def lost_by_service(file: Path) -> list[Lost]:
    """What `file`, the record of metrics, says was lost, added up over a service's processes.

    Each export carries the total since the process's start, and comes every few seconds whether
    the total grew or not.
    """
    totals: dict[tuple[str, str, str], dict[str, tuple[int, float]]] = {}
    for export in _exports(_lines(file, LOST, 0)):
        for point in _points(export):
            if point.metric == LOST:
                service = str(point.resource.get("service.name", ""))
                signal, reason = (str(point.attributes.get(n, "")) for n in ("signal", "reason"))
                of_process = totals.setdefault((service, signal, reason), {})
                process = str(point.resource.get("service.instance.id", ""))
                before, _ = of_process.get(process, (0, 0.0))
                if point.value > before:
                    of_process[process] = int(point.value), point.time
    return [
        Lost(*key, sum(items for items, _ in found), max(last for _, last in found))
        for key, of_process in sorted(totals.items())
        if (found := list(of_process.values()))
    ]


def read_points(file: Path, offset: int = 0) -> list[Point]:
    """The metrics' data points of `file` from byte `offset` on."""
    return [point for export in _exports(_lines(file, None, offset)) for point in _points(export)]


def read_logs(file: Path, trace_id: str | None = None, offset: int = 0) -> list[Log]:
    """The log records of `file` from byte `offset` on; of one trace where `trace_id` is given."""
    return [
        log
        for export in _exports(_lines(file, trace_id, offset))
        for log in _logs(export)
        if trace_id is None or log.trace_id == trace_id
    ]


def size(file: Path) -> int:
    """Where reading has to begin to see only what comes from now on."""
    return file.stat().st_size if file.exists() else 0


def _lines(file: Path, containing: str | None, offset: int) -> Iterator[bytes]:
    if not file.exists():
        return
    wanted = containing.encode() if containing else b""
    with file.open("rb") as stream:
        # A file that is smaller than it was has been rotated: all of it is new.
        stream.seek(offset if offset <= size(file) else 0)
        while block := stream.read(BLOCK) + stream.readline():
            # To look at a whole block first is ten times as fast as line by line.
            if wanted in block:
                yield from (line for line in _whole_lines(block) if wanted in line)


def _blocks_backwards(file: Path) -> Iterator[list[bytes]]:
    with file.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        later = b""
        while end:
            begin = max(0, end - BLOCK)
            stream.seek(begin)
            block = stream.read(end - begin) + later
            if begin:
                head, newline, block = block.partition(b"\n")
                later = head + newline
            yield _whole_lines(block)
            end = begin


def _whole_lines(block: bytes) -> list[bytes]:
    # A rotation can leave an empty line at the top.
    return [line for line in io.BytesIO(block) if line.endswith(b"\n") and line.strip()]


def _exports(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The lines that are whole: a full disk or a kill leaves some that are not."""
    for line in lines:
        try:
            export = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(export, dict):
            yield export


def _word(words: Sequence[str], number: int) -> str:
    """Any sender may write any number."""
    return words[number] if 0 <= number < len(words) else words[0]


def _items(
    export: Mapping[str, Any], resources: str, scopes: str, items: str
) -> Iterator[tuple[dict[str, Any], str, Mapping[str, Any]]]:
    """Each with its resource's attributes and its scope's name."""
    for of_resource in export.get(resources, ()):
        resource = _attributes(of_resource.get("resource", {}))
        for of_scope in of_resource.get(scopes, ()):
            scope = of_scope.get("scope", {}).get("name", "")
            for item in of_scope.get(items, ()):
                yield resource, scope, item


def _spans(export: Mapping[str, Any], attributes: Collection[str] | None = None) -> Iterator[Span]:
    for resource, scope, span in _items(export, "resourceSpans", "scopeSpans", "spans"):
        yield Span(
            trace_id=span.get("traceId", ""),
            span_id=span.get("spanId", ""),
            parent_id=span.get("parentSpanId", ""),
            name=span.get("name", ""),
            kind=_word(KINDS, span.get("kind", 0)),
            status=_word(STATUSES, span.get("status", {}).get("code", 0)),
            start=int(span.get("startTimeUnixNano", 0)),
            end=int(span.get("endTimeUnixNano", 0)),
            scope=scope,
            resource=resource,
            attributes=_attributes(span, attributes),
            events=tuple(
                Event(event.get("name", ""), _attributes(event), int(event.get("timeUnixNano", 0)))
                for event in span.get("events", ())
            ),
            message=span.get("status", {}).get("message", ""),
        )


def _points(export: Mapping[str, Any]) -> Iterator[Point]:
    for resource, scope, metric in _items(export, "resourceMetrics", "scopeMetrics", "metrics"):
        for point in _data_points(metric):
            value = point.get("asDouble", point.get("asInt", point.get("count", 0)))
            yield Point(
                metric=metric.get("name", ""),
                unit=metric.get("unit", ""),
                scope=scope,
                value=float(value),
                time=int(point.get("timeUnixNano", 0)) / 1e9,
                resource=resource,
                attributes=_attributes(point),
            )


def _data_points(metric: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for kind in ("sum", "gauge", "histogram", "exponentialHistogram", "summary"):
        yield from metric.get(kind, {}).get("dataPoints", ())


def _logs(export: Mapping[str, Any]) -> Iterator[Log]:
    for resource, scope, log in _items(export, "resourceLogs", "scopeLogs", "logRecords"):
        yield Log(
            trace_id=log.get("traceId", ""),
            span_id=log.get("spanId", ""),
            time=int(log.get("timeUnixNano") or log.get("observedTimeUnixNano", 0)) / 1e9,
            sampled=bool(int(log.get("flags", 0)) & 1),
            severity=log.get("severityText", ""),
            body=_value(log.get("body", {})),
            scope=scope,
            resource=resource,
            attributes=_attributes(log),
        )


def _attributes(holder: Mapping[str, Any], names: Collection[str] | None = None) -> dict[str, Any]:
    return {
        item.get("key", ""): _value(item.get("value", {}))
        for item in holder.get("attributes", ())
        if names is None or item.get("key") in names
    }


def _value(value: Mapping[str, Any]) -> Any:
    if not value:
        return None
    kind, content = next(iter(value.items()))
    if kind == "intValue":
        return int(content)
    if kind == "arrayValue":
        return [_value(item) for item in content.get("values", ())]
    if kind == "kvlistValue":
        return {
            item.get("key", ""): _value(item.get("value", {})) for item in content.get("values", ())
        }
    return content
