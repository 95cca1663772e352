"""Log records that were written during a request and are not in its trace."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any

from stack.doctor.telemetry.latest import Flaw, Latest, by_service
from stack.telemetry import Log, Span

SHARE, FEW = 0.5, 5
"""Of the records written during requests: what a service's own threads write then is not theirs."""


def logs_without_trace(record: Latest) -> Iterator[Flaw]:
    spans = by_service(span for span in record.spans if span.kind == "SERVER")
    for service, logs in by_service(record.logs).items():
        busy = _busy(spans.get(service, []))
        during = [log for log in logs if _within(log, busy.get(_instance(log.resource), []))]
        without = [log for log in during if not log.trace_id]
        if len(without) >= FEW and len(without) >= SHARE * len(during):
            yield Flaw(
                service,
                f"has no trace id on {len(without)} of {len(during)} log records that it wrote "
                "during requests",
                "log through `logging` in the request's own context; "
                "opentelemetry-instrumentation-threading carries it into threads",
                max(log.time for log in without),
            )


def _busy(spans: list[Span]) -> dict[str, list[tuple[float, float]]]:
    """By instance, the times without gaps in which it served requests, in seconds since 1970."""
    found: dict[str, list[tuple[float, float]]] = {}
    for span in sorted(spans, key=lambda one: one.start):
        times = found.setdefault(_instance(span.resource), [])
        start, end = span.start / 1e9, span.end / 1e9
        if times and start <= times[-1][1]:
            times[-1] = times[-1][0], max(end, times[-1][1])
        else:
            times.append((start, end))
    return found


def _within(log: Log, times: list[tuple[float, float]]) -> bool:
    before = bisect_right(times, (log.time, float("inf"))) - 1
    return before >= 0 and log.time <= times[before][1]


def _instance(resource: Mapping[str, Any]) -> str:
    return str(resource.get("service.instance.id", ""))
