"""What a test asks the file exporter's record: the spans, points and logs that it waits for."""

from __future__ import annotations

from collections.abc import Iterable

from stack.telemetry import Log, Point, Span
from stack.waiting import wait_for
from tests.integration.harness.stack import BACKEND, PROFILES, WORKERS, Stack
from tests.integration.harness.traffic import Exchange, send_many

ARRIVAL_SECONDS = 60
"""From an answer to its telemetry in the file: 0.2 to 1.5 s, longer on two busy cores."""


def server_spans(spans: Iterable[Span], service: str) -> list[Span]:
    return [span for span in spans if span.service == service and span.kind == "SERVER"]


def wait_for_server_span(
    stack: Stack, exchange: Exchange, service: str, seconds: float = ARRIVAL_SECONDS
) -> Span:
    """The one server span that `service` made of the request. Raises DeadlineError."""
    spans = wait_for(
        f"the server span of {service} in trace {exchange.trace_id}",
        lambda: stack.spans(exchange.trace_id),
        until=lambda found: bool(server_spans(found, service)),
        seconds=seconds,
    )
    [span] = server_spans(spans, service)
    return span


def wait_for_logs(
    stack: Stack, exchange: Exchange, scope: str, service: str, seconds: float = ARRIVAL_SECONDS
) -> list[Log]:
    """The records that a logger of `service` wrote during the request."""

    def look() -> list[Log]:
        records = stack.logs(exchange.trace_id)
        return [r for r in records if r.scope == scope and r.resource["service.name"] == service]

    what = f"a record of logger {scope} in trace {exchange.trace_id}"
    return wait_for(what, look, seconds=seconds)


def wait_for_all_workers(stack: Stack, seconds: float = ARRIVAL_SECONDS) -> None:
    """Request the home feed until every worker of both services has delivered a span of it.

    A worker exports in the order in which its spans ended. So what any of them has recorded before
    this call is in the file after it, and what is not in the file was never recorded.
    """
    asked: set[str] = set()

    def delivered() -> dict[str, int]:
        asked.update(
            exchange.trace_id
            for exchange in send_many(f"{stack.backend_url}/api/activities/home", 8)
        )
        workers: dict[str, set[str]] = {BACKEND: set(), PROFILES: set()}
        for span in stack.spans():
            if span.trace_id in asked:
                workers[span.service].add(span.resource["service.instance.id"])
        return {service: len(instances) for service, instances in workers.items()}

    wait_for(
        f"a later span from each of {WORKERS} workers",
        delivered,
        until=lambda counts: set(counts.values()) == {WORKERS},
        seconds=seconds,
        pause=0.5,
    )


def latest(points: Iterable[Point]) -> list[Point]:
    """The last point of each time series: a cumulative one holds the sum of all before."""
    last = {
        (point.metric, _frozen(point.resource), _frozen(point.attributes)): point
        for point in points
    }
    return list(last.values())


def _frozen(attributes: object) -> str:
    return repr(attributes)
