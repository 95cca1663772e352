"""An app's exporters of all signals: paced requests, tried again as the SDK does, each acknowledged
id kept.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Self

import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from emulators.core.otlp import SIGNALS, Request, Signal
from tests.faults.harness.ids import MILLISECOND, ids_of

ITEMS: dict[Signal, int] = {"traces": 10, "metrics": 50, "logs": 30}
"""Spans, data points, log records in a request."""

REQUESTS_PER_SECOND: dict[Signal, float] = {"traces": 20, "metrics": 8, "logs": 8}

SERVICES = ("backend-flask", "profiles-flask")
"""Whose data points and log records are in each request, as several services' exports are batched:
CloudWatch keeps a stream for each, and may take one's and not the other's."""

THREADS = 8
AGAIN = {429, 502, 503, 504}
"""What OTLP calls retryable; the SDK gives up on all else."""

GIVE_UP_SECONDS = 60
LONGEST_PAUSE = 1.0


Windows = Sequence[tuple[float, float]]
"""Beginnings and ends, of the monotonic clock."""

ALWAYS: Windows = ((0.0, math.inf),)


@dataclass
class Sent:
    """`ids`: what was acknowledged, by signal, as tests/faults/harness/ids.py names it.

    `unsure`: ids of requests whose connection broke, so that the collector may have them twice.
    `took`: when each request of spans began that was acknowledged at its first try, and its
    seconds; both of the monotonic clock. `acknowledged`: by id, epoch seconds. `requests` is how
    many were acknowledged, after so many `tries`.
    """

    ids: dict[str, set[str]] = field(default_factory=lambda: {one: set() for one in SIGNALS})
    unsure: set[str] = field(default_factory=set)
    took: list[tuple[float, float]] = field(default_factory=list)
    acknowledged: dict[str, float] = field(default_factory=dict)
    requests: int = 0
    tries: int = 0
    refused: list[str] = field(default_factory=list)

    def p99(self) -> float:
        return self.percentile(99)

    def percentile(self, percent: float, within: Windows = ALWAYS) -> float:
        """Seconds, of the requests that began `within`; 0 where there are none."""
        took = sorted(
            seconds
            for began, seconds in self.took
            if any(begin <= began < end for begin, end in within)
        )
        return took[int(len(took) * percent / 100)] if took else 0.0


class Sender:
    """Sends from the moment that it is entered until it is left, then waits for the last answer.

    `clock_ahead`: seconds by which the clock is wrong that stamps what is sent.
    """

    def __init__(self, url: str) -> None:
        self.sent = Sent()
        self.clock_ahead = 0
        self._url = url
        self._lock = threading.Lock()
        self._own = threading.local()
        # When each request that has no outcome yet began, by its thread.
        self._asking: dict[int, float] = {}
        self._end = threading.Event()
        self._hopeless = False
        self._pool = ThreadPoolExecutor(THREADS)
        # Old enough that none is given twice to who sends faster than time passes.
        self._millisecond = int(time.time() * 1000) - 1_000_000
        self._make = {"traces": self._spans, "metrics": self._points, "logs": self._records}
        self._clocks = [threading.Thread(target=self._pace, args=(signal,)) for signal in SIGNALS]

    def __enter__(self) -> Self:
        for clock in self._clocks:
            clock.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end.set()
        self._hopeless = kind is not None
        for clock in self._clocks:
            clock.join()
        self._pool.shutdown(cancel_futures=self._hopeless)

    def has_noted(self, until: float) -> bool:
        """Whether the outcome of every request that began before `until`, of the monotonic clock,
        is in `sent`.
        """
        return all(began >= until for began in self._asking.copy().values())

    def _pace(self, signal: Signal) -> None:
        started = time.monotonic()
        number = 0
        while not self._end.wait(
            max(0.0, started + number / REQUESTS_PER_SECOND[signal] - time.monotonic())
        ):
            number += 1
            self._pool.submit(self._send, signal)

    def _send(self, signal: Signal) -> None:
        made = self._make[signal]()
        ids, content = ids_of(made), made.SerializeToString()
        session = self._session()
        deadline = time.monotonic() + GIVE_UP_SECONDS
        pause, tries, reason = 0.1, 0, ""
        while time.monotonic() < deadline and not self._hopeless:
            tries += 1
            started = self._asking[threading.get_ident()] = time.monotonic()
            try:
                answer = session.post(
                    f"{self._url}/v1/{signal}",
                    data=content,
                    headers={"Content-Type": "application/x-protobuf"},
                    timeout=10,
                )
            except requests.ConnectionError as failed:
                reason = str(failed)
                if "refused" not in reason:
                    with self._lock:
                        self.sent.unsure.update(ids)
            except requests.Timeout as failed:
                reason = str(failed)
                with self._lock:
                    self.sent.unsure.update(ids)
            else:
                reason = f"{signal}: {answer.status_code} {answer.text}"
                if answer.ok:
                    self._acknowledged(signal, ids, started, tries)
                    return
                if answer.status_code not in AGAIN:
                    break
            finally:
                del self._asking[threading.get_ident()]
            self._end.wait(pause) if not self._end.is_set() else time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        with self._lock:
            self.sent.refused.append(reason)

    def _acknowledged(self, signal: Signal, ids: set[str], began: float, tries: int) -> None:
        seconds, now = time.monotonic() - began, time.time()
        with self._lock:
            self.sent.acknowledged.update(dict.fromkeys(ids, now))
            self.sent.ids[signal].update(ids)
            self.sent.requests += 1
            self.sent.tries += tries
            if tries == 1 and signal == "traces":
                self.sent.took.append((began, seconds))

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._own, "session", None)
        if session is None:
            session = self._own.session = requests.Session()
            session.trust_env = False
        return session

    def _spans(self) -> Request:
        now = time.time_ns() + self.clock_ahead * 10**9
        trace = (now // 10**9).to_bytes(4) + secrets.token_bytes(12)
        request = ExportTraceServiceRequest()
        of_resource = request.resource_spans.add()
        _name(of_resource.resource, SERVICES[0])
        scope = of_resource.scope_spans.add()
        attributes = [_text("http.request.method", "GET"), _text("http.route", "/api/x")]
        for _ in range(ITEMS["traces"]):
            scope.spans.add(
                trace_id=trace,
                span_id=secrets.token_bytes(8),
                name="GET /api/activities/home",
                kind=Span.SPAN_KIND_SERVER,
                start_time_unix_nano=now - 5 * MILLISECOND,
                end_time_unix_nano=now,
                attributes=attributes,
            )
        return request

    def _points(self) -> Request:
        """Differences of as many counters, each of which grew by one."""
        at = self._milliseconds(1) * MILLISECOND
        request = ExportMetricsServiceRequest()
        for service, numbers in _shared(ITEMS["metrics"]):
            of_resource = request.resource_metrics.add()
            _name(of_resource.resource, service)
            scope = of_resource.scope_metrics.add()
            for number in numbers:
                total = scope.metrics.add(name=f"faults.{number}").sum
                total.is_monotonic = True
                total.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
                total.data_points.add(as_int=1, start_time_unix_nano=at - 10**9, time_unix_nano=at)
        return request

    def _records(self) -> Request:
        first = self._milliseconds(ITEMS["logs"])
        request = ExportLogsServiceRequest()
        for service, numbers in _shared(ITEMS["logs"]):
            of_resource = request.resource_logs.add()
            _name(of_resource.resource, service)
            scope = of_resource.scope_logs.add()
            for number in numbers:
                record = scope.log_records.add(time_unix_nano=(first + number) * MILLISECOND)
                record.body.string_value = "home"
        return request

    def _milliseconds(self, number: int) -> int:
        """The first of so many that nothing else is stamped with."""
        with self._lock:
            first = self._millisecond + self.clock_ahead * 1000
            self._millisecond += number
        return first


def _shared(items: int) -> list[tuple[str, range]]:
    """The numbers of a request's items, by service."""
    each = items // len(SERVICES)
    return [(one, range(at * each, (at + 1) * each)) for at, one in enumerate(SERVICES)]


def _name(resource: Resource, service: str) -> None:
    resource.attributes.append(_text("service.name", service))


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))
