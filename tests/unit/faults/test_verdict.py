"""The judges of the fault suite: what they let pass, and that each bound of theirs is held."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from emulators.client import Client
from emulators.core.otlp import Request, Signal
from stack.ledger import Entry
from stack.replay import Header, Letter
from tests.faults.cases import Case, Circumstance, Kind
from tests.faults.harness.held import EMULATOR, ROUTES, Held, held
from tests.faults.harness.run import Result, ids_in
from tests.faults.harness.sender import Sent
from tests.faults.harness.verdict import (
    ADDED_UP,
    NOISE_SECONDS,
    complaints,
)
from tests.faults.harness.windows import Turns, noticed

SPANS = frozenset(f"{trace:032x}:{span:016x}" for trace in range(1, 41) for span in range(1, 11))
RECORDS = frozenset(str(millisecond) for millisecond in range(1000, 1200))
POINTS = frozenset(f"faults.{number}@{at}" for at in range(2000, 2010) for number in range(30))
IDS = {"traces": SPANS, "metrics": POINTS, "logs": RECORDS}
SICK = ("honeycomb", "traces")
BROKEN = (100.0, 104.0)
QUIET = Entry("v", "s", "e", "q", 400, 400, 0, 200_000, 0, 0)


def some(ids: frozenset[str], number: int) -> frozenset[str]:
    return frozenset(sorted(ids)[:number])


def a_good_result(
    mode: Kind = "hang", circumstance: Circumstance = "steady", vendor: str = "honeycomb"
) -> Result:
    """Of a vendor's trouble: everything is everywhere, once, and the ledger told it."""
    took = [(at / 10, 0.002) for at in range(900, 1140)]
    sent = Sent(ids={signal: set(ids) for signal, ids in IDS.items()}, took=took)
    return Result(
        Case(vendor, mode, circumstance),
        sent,
        held={key: Held(len(IDS[key[1]]), frozenset(), frozenset(), 0) for key in ROUTES},
        before=dict.fromkeys(ROUTES, QUIET),
        during={key: replace(QUIET, queued=7 if key[0] == vendor else 0) for key in ROUTES},
        end=dict.fromkeys(ROUTES, QUIET),
        restarts=int(circumstance in {"kill -9", "SIGTERM", "reload", "spoiled queue"}),
        broken=BROKEN,
    )


def changed(result: Result, key: tuple[str, str], **to: object) -> None:
    result.held[key] = replace(result.held[key], **to)  # type: ignore[arg-type]


def twice(result: Result, key: tuple[str, str], number: int) -> None:
    changed(result, key, twice=some(IDS[key[1]], number), copies=number)


def a_request(signal: Signal, ids: frozenset[str]) -> Request:
    match signal:
        case "traces":
            traces = ExportTraceServiceRequest()
            scope = traces.resource_spans.add().scope_spans.add()
            for name in ids:
                trace, _, span = name.partition(":")
                scope.spans.add(trace_id=bytes.fromhex(trace), span_id=bytes.fromhex(span))
            return traces
        case "logs":
            logs = ExportLogsServiceRequest()
            scope_logs = logs.resource_logs.add().scope_logs.add()
            for name in ids:
                scope_logs.log_records.add(time_unix_nano=int(name) * 10**6)
            return logs
        case "metrics":
            metrics = ExportMetricsServiceRequest()
            scoped = metrics.resource_metrics.add().scope_metrics.add()
            for name in ids:
                metric, _, at = name.partition("@")
                total = scoped.metrics.add(name=metric).sum
                total.data_points.add(as_int=1, time_unix_nano=int(at) * 10**6)
            return metrics


def letter(folder: Path, signal: Signal, ids: frozenset[str]) -> Letter:
    header = Header(
        exporter="otlp_http/honeycomb",
        signal=signal,
        items=len(ids),
        refused=len(ids),
        status=400,
        reason="bad",
        at="2026-11-21T12:00:00Z",
    )
    path = folder / f"1-1-{signal}.letter"
    content = json.dumps(header.model_dump()).encode()
    path.write_bytes(content + b"\n" + a_request(signal, ids).SerializeToString())
    return Letter(path, header)


def refused_for_good(tmp_path: Path) -> Result:
    """Honeycomb refused twenty of each signal: counted, and in letters."""
    result = a_good_result("400")
    signals: tuple[Signal, ...] = ("traces", "metrics", "logs")
    for signal in signals:
        key, lost = ("honeycomb", signal), some(IDS[signal], 20)
        changed(result, key, missing=lost)
        result.end[key] = replace(QUIET, failed=20)
        result.letters.append(letter(tmp_path, signal, lost))
    result.in_letters = ids_in(result.letters)
    return result


HEALTHY = [key for key in ROUTES if key[0] != "honeycomb"]

# (a) healthy vendors have all, once; (d) copies are at the sick one alone.
# (b) the sick one has all, or what is counted; (c) the app; (e) `make status`.


@pytest.mark.parametrize("circumstance", ["steady", "kill -9", "SIGTERM", "full disk"])
def test_a_case_that_held_everything_passes(circumstance: Circumstance) -> None:
    assert complaints(a_good_result("hang", circumstance)) == []


@pytest.mark.parametrize("key", HEALTHY, ids="/".join)
def test_a_healthy_vendor_that_misses_one(key: tuple[str, str]) -> None:
    result = a_good_result()
    changed(result, key, missing=some(IDS[key[1]], 1))

    [line] = complaints(result)
    assert line == f"{key}, healthy, misses 1 of {len(IDS[key[1]])}"


@pytest.mark.parametrize("key", HEALTHY, ids="/".join)
@pytest.mark.parametrize("circumstance", ["steady", "SIGTERM", "reload", "full disk"])
def test_a_healthy_vendor_with_one_copy(key: tuple[str, str], circumstance: Circumstance) -> None:
    result = a_good_result("hang", circumstance)
    twice(result, key, 1)

    assert complaints(result) == [f"{key}, healthy, has 1 copies"]


class Vendors:
    """As the emulators' control API: they hold everything once, under names of their own."""

    def __init__(self) -> None:
        self.named: dict[tuple[str, str], dict[str, str]] = {
            ("honeycomb", "traces"): {name: name for name in SPANS},
            ("xray", "traces"): {name: name for name in SPANS},
            ("honeycomb", "metrics"): {name: self._otlp(name) for name in POINTS},
            ("aws", "metrics"): {name: self._summed(name) for name in POINTS},
            ("honeycomb", "logs"): {name: f"::{name}000000" for name in RECORDS},
            ("aws", "logs"): {name: f"cruddur/orders/{name}/1f" for name in RECORDS},
        }
        self.counts = {key: dict.fromkeys(named.values(), 1.0) for key, named in self.named.items()}
        # Events that hold metrics are in the log store too, and a metric may have more dimensions.
        self.counts["aws", "logs"] |= {f"/metrics/cruddur/orders/{at}/2e": 9.0 for at in RECORDS}
        self.counts["aws", "metrics"] |= {
            f"cruddur/faults.0/service.name,http.route/{at}": 9.0 for at in range(2000, 2010)
        }

    @staticmethod
    def _otlp(name: str) -> str:
        metric, _, at = name.partition("@")
        return f"{metric}:{at}000000"

    @staticmethod
    def _summed(name: str) -> str:
        metric, _, at = name.partition("@")
        return f"cruddur/{metric}/service.name/{at}"

    def ids(self, vendor: str, signal: str) -> dict[str, float]:
        assert signal != "metrics"
        return self.counts[vendor, signal]

    def sums(self, vendor: str, signal: str) -> dict[str, float]:
        assert signal == "metrics"
        return self.counts[vendor, signal]


def seen(result: Result, vendors: Vendors) -> Result:
    client = cast("Client", vendors)
    result.held = {key: held(client, result.sent, *key) for key in ROUTES}
    return result


def of(key: tuple[str, str]) -> tuple[str, str]:
    return EMULATOR[key[0]], key[1]


@pytest.mark.parametrize("key", ROUTES, ids="/".join)
@pytest.mark.parametrize("vendor", ["honeycomb", "xray", "cloudwatch"])
def test_one_item_that_a_vendor_does_not_hold(key: tuple[str, str], vendor: str) -> None:
    vendors = Vendors()
    result = a_good_result(vendor=vendor)
    assert complaints(seen(result, vendors)) == []

    name = vendors.named[of(key)][min(IDS[key[1]])]
    del vendors.counts[of(key)][name]

    [line] = complaints(seen(result, vendors))
    assert line.startswith(str(key))
    assert f"misses 1 of {len(IDS[key[1]])}" in line


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_a_counter_that_grew_by_less_than_was_sent(value: float) -> None:
    vendors = Vendors()
    vendors.counts["aws", "metrics"]["cruddur/faults.0/service.name/2000"] = value

    [line] = complaints(seen(a_good_result(), vendors))
    assert line == f"{ADDED_UP}, healthy, misses 1 of 300"


@pytest.mark.parametrize(("vendor", "health"), [("honeycomb", "healthy"), ("cloudwatch", "sick")])
@pytest.mark.parametrize("value", [2.0, 4.6, 1.5])
def test_a_counter_that_counts_more_than_was_sent(vendor: str, health: str, value: float) -> None:
    """A copy at a sick vendor is borne, in a sum it is not."""
    vendors = Vendors()
    vendors.counts["aws", "metrics"]["cruddur/faults.0/service.name/2000"] = value

    assert complaints(seen(a_good_result(vendor=vendor), vendors)) == [
        f"{ADDED_UP}, {health}, has {value - 1:g} copies"
    ]


def test_a_copy_is_the_senders_where_its_connection_broke() -> None:
    result = a_good_result()
    twice(result, HEALTHY[0], 1)
    result.sent.unsure.update(some(IDS[HEALTHY[0][1]], 1))

    assert complaints(result) == []


def test_after_a_crash_what_was_on_its_way_may_be_there_twice_and_no_more() -> None:
    result = a_good_result("hang", "kill -9")
    key = ("xray", "traces")
    twice(result, key, 120)
    assert complaints(result) == []

    twice(result, key, 121)
    assert complaints(result) == [f"{key}, healthy, has 121 copies"]


def test_the_sick_vendor_misses_one() -> None:
    result = a_good_result()
    changed(result, SICK, missing=some(SPANS, 1))

    assert complaints(result) == [f"{SICK}, sick, misses 1 of 400 silently"]


def test_a_loss_is_counted_that_is_none() -> None:
    result = a_good_result()
    result.end[SICK] = replace(QUIET, dropped=3)

    assert complaints(result) == [f"{SICK}, sick, counts 3 as lost"]


def test_what_was_refused_for_good(tmp_path: Path) -> None:
    result = refused_for_good(tmp_path)
    assert complaints(result) == []

    # What was refused by nobody is in this mode a complaint too.
    logs = ("honeycomb", "logs")
    changed(result, logs, missing=frozenset())
    result.end[logs] = QUIET
    assert complaints(result) == [f"{logs}, sick, misses 0 and counts 0"]


def test_one_more_is_missing_than_is_counted(tmp_path: Path) -> None:
    result = refused_for_good(tmp_path)
    result.end[SICK] = replace(QUIET, failed=19)

    assert f"{SICK}, sick, misses 20 and counts 19" in complaints(result)


def test_what_was_counted_before_is_not_of_this_case(tmp_path: Path) -> None:
    result = refused_for_good(tmp_path)
    result.before[SICK] = replace(QUIET, failed=5)
    result.end[SICK] = replace(QUIET, failed=20)

    assert f"{SICK}, sick, misses 20 and counts 15" in complaints(result)


def test_one_that_is_counted_and_in_no_letter(tmp_path: Path) -> None:
    result = refused_for_good(tmp_path)
    changed(result, SICK, missing=some(SPANS, 21))
    result.end[SICK] = replace(QUIET, failed=21)

    assert f"{SICK}, sick, misses 1 of 400 silently" in complaints(result)


def test_a_spoiled_queue_is_kept_and_costs_what_was_in_it() -> None:
    result = a_good_result("hang", "spoiled queue")
    result.before_spoiling = some(SPANS, 30)
    result.spoiled = result.set_aside = 3
    changed(result, SICK, missing=some(SPANS, 30))
    assert complaints(result) == []

    changed(result, SICK, missing=some(SPANS, 31))
    assert complaints(result) == [f"{SICK}, sick, misses 1 of 400 silently"]

    changed(result, SICK, missing=frozenset())
    result.set_aside = 2
    assert set(complaints(result)) == {
        f"{key}, sick: 2 of 3 spoiled files were kept" for key in ROUTES if key[0] == "honeycomb"
    }


@pytest.mark.parametrize(
    ("mode", "circumstance", "most"),
    [
        ("hang", "steady", 4),
        ("hang", "SIGTERM", 4),
        ("slow", "steady", 4),
        ("slow", "SIGTERM", 120),
        ("hang", "kill -9", 120),
    ],
)
def test_copies_at_the_sick_vendor(mode: Kind, circumstance: Circumstance, most: int) -> None:
    result = a_good_result(mode, circumstance)
    twice(result, SICK, most)
    assert complaints(result) == []

    twice(result, SICK, most + 1)
    assert complaints(result) == [f"{SICK}, sick, has {most + 1} copies"]


def test_a_request_of_the_app_that_failed() -> None:
    result = a_good_result()
    result.sent.refused.append("503 full")

    assert complaints(result) == ["1 requests of the app failed: 503 full"]


def test_an_app_that_waits_for_the_sick_vendor() -> None:
    result = a_good_result()
    result.sent.took = [
        (began, 0.002 if not BROKEN[0] <= began < BROKEN[1] else NOISE_SECONDS + 0.01)
        for began, _ in result.sent.took
    ]

    [line] = complaints(result)
    assert line.startswith("the app waited: p50 2.01 s")


def test_a_ledger_that_tells_nothing() -> None:
    result = a_good_result()
    # Another vendor's queue is not this one's, nor are its spans its log records.
    result.during = {
        key: replace(QUIET, queued=int(key[0] == "xray" or key == SICK)) for key in ROUTES
    }

    assert complaints(result) == ["the ledger showed nothing of metrics, logs"]


def test_a_trouble_that_nobody_met() -> None:
    result = a_good_result()
    result.met = False

    [line] = complaints(result)
    assert line.startswith("nobody met the trouble")


@pytest.mark.parametrize("signal", IDS)
def test_no_traffic(signal: str) -> None:
    result = a_good_result()
    result.sent.ids[signal] = set(some(IDS[signal], 100))

    assert complaints(result) == [f"100 acknowledged of {signal} say nothing"]


# What others notice of a sick vendor: test_isolation.py.


def slower_requests(turns: Turns) -> None:
    turns.sent.took = [(at, 0.002 if at < 10 else 0.0073) for at, _ in turns.sent.took]


def slow_requests_among_them(turns: Turns) -> None:
    turns.sent.took = [
        (at, 0.03 if at >= 10 and number % 10 == 0 else 0.002)
        for number, (at, _) in enumerate(turns.sent.took)
    ]


def a_later_arrival(turns: Turns) -> None:
    turns.lags["honeycomb", "traces"] = {
        name: 0.5 if at < 10 else 0.66 for name, at in turns.sent.acknowledged.items()
    }


def turns_of_nothing_noticed() -> Turns:
    """A window of ten seconds in which X-Ray is well, and one in which it is sick."""
    sent = Sent(
        took=[(at / 10, 0.002) for at in range(200)],
        acknowledged={f"span {at}": at / 10 for at in range(200)},
    )
    lags = {("honeycomb", "traces"): dict.fromkeys(sent.acknowledged, 0.5)}
    return Turns(sent, well=[(0.0, 10.0)], sick=[(10.0, 20.0)], lags=lags)


def test_nobody_noticed() -> None:
    assert noticed(turns_of_nothing_noticed()) == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (slower_requests, ["p50 of requests"]),
        (slow_requests_among_them, ["p95 of requests"]),
        (a_later_arrival, ["until honeycomb traces has it"]),
    ],
)
def test_each_bound_alone(spoil: Callable[[Turns], None], said: list[str]) -> None:
    turns = turns_of_nothing_noticed()
    spoil(turns)

    assert [line.partition(":")[0] for line in noticed(turns)] == said
