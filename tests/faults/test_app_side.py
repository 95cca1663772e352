"""The services' own side: a collector that is away, workers and masters that are shot, a stop."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from emulators.client import Client
from stack.settings import ROOT
from stack.telemetry import lost_by_service
from stack.waiting import wait_for
from tests.faults.harness.feed import SPANS_A_REQUEST
from tests.faults.harness.visitors import PER_SECOND, SPANS_A_VISIT, Visitors, Visits
from tests.integration.harness.native import NativeStack
from tests.integration.harness.stack import BACKEND, COLLECTOR, PROFILES, Change

pytestmark = [
    pytest.mark.collector,
    pytest.mark.only_native,
    pytest.mark.long,
    pytest.mark.alone,
]

AWAY_SECONDS = 30
GRACE_SECONDS = 10
QUEUE = 16384
SETTLED_SECONDS = 90
MIB = 1024 * 1024


@pytest.fixture
def app(tmp_path: Path) -> Iterator[NativeStack]:
    stack = NativeStack(tmp_path)
    yield stack
    stack.close()


@pytest.fixture
def visitors(app: NativeStack) -> Visitors:
    return Visitors(f"{app.backend_url}/api/activities/home")


def copies(app: NativeStack) -> dict[str, Counter[str]]:
    """How often Honeycomb's emulator holds each span, by trace."""
    found: dict[str, Counter[str]] = {}
    for name, count in Client(app.control_url, timeout=30).ids("honeycomb").items():
        trace, _, span = name.partition(":")
        found.setdefault(trace, Counter())[span] = count
    return found


def not_whole(app: NativeStack, visits: Visits) -> dict[str, int]:
    """The answered visits whose trace has not all its spans, and how many it has."""
    held = copies(app)
    return {
        trace: len(held.get(trace, ()))
        for trace in visits.answered
        if len(held.get(trace, ())) != SPANS_A_VISIT
    }


def wait_until_whole(app: NativeStack, visits: Visits) -> None:
    wait_for(
        "every span of each answered request",
        lambda: not_whole(app, visits),
        until=lambda left: not left,
        seconds=SETTLED_SECONDS,
        pause=1,
    )
    held = copies(app)
    assert not {t for t in visits.answered if max(held[t].values()) > 1}


def test_a_collector_away_for_30_seconds_costs_no_span(
    app: NativeStack, visitors: Visitors
) -> None:
    # given: traffic that has just begun to be delivered
    visitors.come(3)
    # when: it goes on while the collector is away
    with visitors:
        app.stop(COLLECTOR)
        # Time itself is the condition here.
        time.sleep(AWAY_SECONDS)
        app.start(COLLECTOR)
        time.sleep(3)
    # then
    visits = visitors.visits
    assert visits.failed == []
    assert len(visits.answered) > (AWAY_SECONDS + 5) * PER_SECOND
    wait_until_whole(app, visits)
    print(f"{len(visits.answered)} requests, {SPANS_A_VISIT} spans each, all there, each once")


def test_what_overflows_the_queue_is_counted_to_the_span(
    app: NativeStack, visitors: Visitors
) -> None:
    # given a backend with a short queue
    app.change(Change(environment={BACKEND: {"OTEL_BSP_MAX_QUEUE_SIZE": "600"}}))
    visitors.come(2)
    wait_until_whole(app, visitors.visits)
    # when
    app.stop(COLLECTOR)
    visitors.come(6)
    app.start(COLLECTOR)
    # then
    visits = visitors.visits
    held, counted = wait_for(
        "what is lost to be counted",
        lambda: (copies(app), lost_by_service(app.record("metrics"))),
        until=lambda seen: missing_spans(seen[0], visits) == sum(one.items for one in seen[1]) > 0,
        seconds=30,
        pause=0.5,
    )
    assert {(one.service, one.signal, one.reason) for one in counted} == {
        (BACKEND, "traces", "queue_full")
    }
    print(f"{missing_spans(held, visits)} spans lost, and as many counted: {counted}")


def missing_spans(held: dict[str, Counter[str]], visits: Visits) -> int:
    return sum(SPANS_A_VISIT - len(held.get(trace, ())) for trace in visits.answered)


def test_a_worker_that_is_shot_loses_less_than_a_second(
    app: NativeStack, visitors: Visitors
) -> None:
    # when
    visitors.come(3)
    with visitors:
        time.sleep(1)
        workers = app.workers(BACKEND)
        shot = time.monotonic()
        workers[0].kill()
        time.sleep(3)
    # then: what is not there was answered in the last second
    visits = visitors.visits
    left = wait_for(
        "the spans of all others",
        lambda: not_whole(app, visits),
        until=lambda left: all(-1 < visits.answered[trace].answered - shot < 0.1 for trace in left),
        seconds=20,
        pause=0.5,
    )
    print(f"lost: some spans of {len(left)} requests; failed: {len(visits.failed)}")
    # The one that the worker was at.
    assert len(visits.failed) <= 1
    # The other service lost nothing, and of the backend's workers only the one that was shot: what
    # each has counted as served is what it has sent.
    assert all(copies(app).get(trace) for trace in left)
    differing = wait_for(
        "the count of the workers that live",
        lambda: miscounted(app, BACKEND),
        until=lambda differing: len(differing) <= 1,
        seconds=15,
        pause=0.5,
    )
    assert len(differing) <= 1


def miscounted(app: NativeStack, service: str) -> set[str]:
    """The workers whose metric of requests served differs from the server spans that arrived."""
    name = "service.instance.id"
    arrived = Counter(
        span.resource[name]
        for span in app.spans()
        if span.kind == "SERVER" and span.service == service
    )
    counted: Counter[str] = Counter()
    for point in app.points():
        if point.metric == "http.server.request.duration":
            counted[point.resource[name]] = max(counted[point.resource[name]], int(point.value))
    return {instance for instance in arrived if counted[instance] != arrived[instance]}


def test_a_master_that_is_shot_takes_its_workers_along_and_loses_nothing(
    app: NativeStack, visitors: Visitors
) -> None:
    # when
    visitors.come(2)
    with visitors:
        time.sleep(1)
        workers = app.workers(BACKEND)
        master = workers[0].parent()
        assert master is not None
        shot = time.monotonic()
        master.kill()
        wait_for(
            "an answer of the next master's workers",
            lambda: max(v.answered for v in list(visitors.visits.answered.values())) > shot + 1,
            seconds=15,
        )
        time.sleep(1)
    # then
    visits = visitors.visits
    gap = max(b - a for a, b in pairwise(sorted(v.answered for v in visits.answered.values())))
    print(f"no answer for {gap:.1f} s; {len(visits.failed)} requests failed")
    assert gap < 5
    assert not {worker.pid for worker in workers} & {worker.pid for worker in app.workers(BACKEND)}
    assert "Connection in use" not in app.console(BACKEND)
    wait_until_whole(app, visits)


def test_a_stop_with_full_queues_and_no_collector_ends_in_time_and_tells(
    app: NativeStack, visitors: Visitors
) -> None:
    # given
    app.stop(COLLECTOR)
    visitors.come(10)
    assert visitors.visits.failed == []
    # when
    took = {service: app.stop(service) for service in (BACKEND, PROFILES)}
    # then
    print(f"stopped in {took}")
    assert max(took.values()) < GRACE_SECONDS
    # Each process says its total at last: six spans of each request are the backend's.
    served = len(visitors.visits.answered)
    # The start of a worker, which looks at its database, makes some more.
    assert 0 <= lost(app.console(BACKEND), "spans") - (SPANS_A_VISIT - 1) * served < 50
    assert lost(app.console(PROFILES), "spans") == served


def lost(console: str, what: str) -> int:
    """What the last processes of a service said to have lost, as their last lines tell."""
    totals = [int(n) for n in re.findall(rf"(\d+) {what} of this process are lost so far", console)]
    # Two workers; a process's later total includes its earlier one.
    return sum(sorted(totals)[-2:])


def test_an_hour_without_a_collector_takes_no_more_memory_than_the_queues() -> None:
    """A worker's half of 100 requests a second for an hour, at full speed.

    What is bounded is what waits: 16,384 spans and as many log records.
    """
    portion, portions = 9_000, 20
    python = Path(sys.executable)
    done = subprocess.run(
        [
            str(python.parent / "opentelemetry-instrument"),
            str(python),
            "-m",
            "tests.faults.harness.feed",
            str(portion),
            str(portions),
        ],
        cwd=ROOT,
        env={
            "OTEL_SERVICE_NAME": "feed",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
            "PATH": f"{python.parent}{os.pathsep}{os.defpath}",
            "PYTHONPATH": str(ROOT / "distro/src"),
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=900,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"req')]
    sizes = [line["rss"] for line in lines]
    assert lines[-1]["requests"] == portion * portions == 3600 * PER_SECOND // 2
    # Both queues are full after the second portion.
    full, end = sizes[2], max(sizes)
    print(
        f"before {sizes[0] / MIB:.0f} MiB, queues full {full / MIB:.0f}, after an hour "
        f"{end / MIB:.0f}: {(full - sizes[0]) / QUEUE / 1024:.1f} KiB a place"
    )
    assert full - sizes[0] < QUEUE * 8 * 1024
    assert end - full < 8 * MIB
    # And what did not fit is told, not only what the end of the process left behind.
    told = [int(n) for n in re.findall(r"(\d+) spans of this process are lost so far", done.stdout)]
    assert told[-1] == SPANS_A_REQUEST * portion * portions
