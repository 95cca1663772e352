"""An OTLP/HTTP receiver that answers as it is told: a real HTTP server on a port of its own."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from stack.waiting import DeadlineError, wait_for
from tests.local_http import Handler, serve


@dataclass
class FakeCollector:
    """What was accepted, by name; `asked` counts requests for spans, whatever their answer.

    `script`: statuses for the next requests for spans; 200 once they are used up.
    `away`: 503 for spans, until who makes them says that all are made: GET /made.
    `enough`: who makes them is kept from its end until this holds, or for a minute: GET /end.
    `whole`: each accepted request's path and body. `connections`: the senders' ports, by path.
    `lost`: the last `telemetry.lost` by (signal, reason). `hangs`: accepts and never answers.
    """

    url: str = ""
    spans: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    lost: dict[tuple[str, str], int] = field(default_factory=dict)
    metrics: set[str] = field(default_factory=set)
    asked: int = 0
    script: list[int] = field(default_factory=list)
    away: bool = False
    enough: Callable[[], bool] = lambda: True
    hangs: bool = False
    whole: list[tuple[str, bytes]] = field(default_factory=list)
    connections: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    came: threading.Event = field(default_factory=threading.Event)
    ends: threading.Event = field(default_factory=threading.Event)

    def status(self) -> int:
        if self.away:
            return 503
        return self.script.pop(0) if self.script else 200

    def keep(self, path: str, body: bytes) -> None:
        self.whole.append((path, body))
        if path == "/v1/traces":
            traces = ExportTraceServiceRequest.FromString(body)
            self.spans += [
                span.name
                for resource in traces.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            ]
        elif path == "/v1/logs":
            logs = ExportLogsServiceRequest.FromString(body)
            self.logs += [
                record.body.string_value
                for resource in logs.resource_logs
                for scope in resource.scope_logs
                for record in scope.log_records
            ]
        else:
            self._keep_metrics(ExportMetricsServiceRequest.FromString(body))

    def _keep_metrics(self, request: ExportMetricsServiceRequest) -> None:
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.metrics.add(metric.name)
                    if metric.name != "telemetry.lost":
                        continue
                    for point in metric.sum.data_points:
                        labels = {one.key: one.value.string_value for one in point.attributes}
                        self.lost[labels["signal"], labels["reason"]] = point.as_int


@contextmanager
def serve_otlp() -> Iterator[FakeCollector]:
    fake = FakeCollector()

    class Receiver(Handler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            body = self.body()
            fake.connections[self.path].add(self.client_address[1])
            if self.command == "GET":
                fake.came.wait()
                fake.away = fake.away and self.path != "/made"
                with suppress(DeadlineError):
                    wait_for(self.path, lambda: self.path != "/end" or fake.enough(), seconds=60)
                self.answer(200)
                return
            if self.path == "/v1/traces":
                fake.asked += 1
                fake.came.set()
            if fake.hangs:
                fake.ends.wait()
                return
            status = fake.status() if self.path == "/v1/traces" else 200
            if status == 200:
                fake.keep(self.path, body)
            self.answer(status)

    with serve(Receiver) as fake.url:
        try:
            yield fake
        finally:
            fake.ends.set()
            fake.came.set()
