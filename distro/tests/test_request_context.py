"""Threads, streams and failing log calls of an app that does nothing for its traces.

What a request does is in its trace, whichever thread does it, and when.
"""

from __future__ import annotations

import http.client
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from stack.settings import ROOT
from stack.waiting import wait_for
from tests.fake_collector import FakeCollector, serve_otlp
from tests.ports import free_ports

APPS = Path(__file__).resolve().parent / "apps"
SECONDS = 60.0


@dataclass
class App:
    port: int
    collector: FakeCollector

    def get(self, path: str, *, leaves: bool = False) -> tuple[str, int, bytes]:
        """The trace's id, the status, and the body as far as it came. `leaves`: after its begin."""
        trace_id = secrets.token_hex(16)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        parent = f"00-{trace_id}-{secrets.token_hex(8)}-01"
        connection.request("GET", path, headers={"traceparent": parent})
        answer = connection.getresponse()
        try:
            body = answer.read(1) if leaves else answer.read()
        except http.client.IncompleteRead as cut:
            body = cut.partial
        connection.close()
        return trace_id, answer.status, body

    def spans(self, trace_id: str) -> dict[str, Any]:
        return {
            span.name: span
            for path, body in list(self.collector.whole)
            if path == "/v1/traces"
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
            if span.trace_id.hex() == trace_id
        }

    def logs(self, trace_id: str | None = None) -> list[Any]:
        return [
            record
            for path, body in list(self.collector.whole)
            if path == "/v1/logs"
            for resource in ExportLogsServiceRequest.FromString(body).resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
            if trace_id in {None, record.trace_id.hex()}
        ]

    def wait_for_logs(self, trace_id: str, *bodies: str) -> None:
        wait_for(
            f"log records {bodies}",
            lambda: {one.body.string_value for one in self.logs(trace_id)} >= set(bodies),
            seconds=SECONDS,
        )

    def wait_for_spans(self, trace_id: str, *names: str) -> dict[str, Any]:
        wait_for(f"spans {names}", lambda: set(names) <= set(self.spans(trace_id)), seconds=SECONDS)
        return self.spans(trace_id)


@pytest.fixture(scope="module")
def app() -> Iterator[App]:
    with serve_otlp() as collector, started(collector) as port:
        yield App(port, collector)


@contextmanager
def started(collector: FakeCollector) -> Iterator[int]:
    bin_folder = Path(sys.executable).parent
    [port] = free_ports(1)
    gunicorn = subprocess.Popen(
        [
            *(str(bin_folder / "opentelemetry-instrument"), "gunicorn", "streams:app"),
            *(f"--bind=127.0.0.1:{port}", "--workers=1", "--no-control-socket"),
        ],
        cwd=APPS,
        env={
            "OTEL_SERVICE_NAME": "streams",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "PATH": f"{bin_folder}{os.pathsep}{os.defpath}",
            "PYTHONPATH": str(ROOT / "distro/src"),
        },
    )
    try:
        wait_for("the app", lambda: answers(port), seconds=SECONDS)
        yield port
    finally:
        gunicorn.terminate()
        gunicorn.wait(SECONDS)


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/nothing")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def test_what_a_requests_threads_do_is_in_its_trace(app: App) -> None:
    trace_id, status, _ = app.get("/threads")

    names = ["pool 1", "pool 2", "pool 3", "thread", "timer"]
    spans = app.wait_for_spans(trace_id, "GET /threads", *names)
    server = spans["GET /threads"]
    assert status == 200
    assert {spans[name].parent_span_id for name in names} == {server.span_id}
    app.wait_for_logs(trace_id, *(f"log of {name}" for name in names))


@pytest.mark.parametrize("query", ["rows=3", "rows=3&context"])
def test_a_stream_is_in_its_requests_trace(app: App, query: str) -> None:
    trace_id, _, body = app.get(f"/stream?{query}")

    spans = app.wait_for_spans(trace_id, "GET /stream", "row 0", "row 1", "row 2")
    assert body == b"0\n1\n2\n"
    assert {spans[f"row {n}"].parent_span_id for n in range(3)} == {spans["GET /stream"].span_id}
    app.wait_for_logs(trace_id, "log before row 2", "log after row 2", "log at the close")
    # What stands behind the yield, within a span, is that span's.
    logs = app.logs(trace_id)
    of_row = {one.span_id for one in logs if one.body.string_value.endswith("row 1")}
    assert of_row == {spans["row 1"].span_id}


@pytest.mark.parametrize("query", ["rows=1&fails", "rows=1&fails&context"])
def test_an_error_in_a_stream_is_recorded_in_its_trace(app: App, query: str) -> None:
    trace_id, _, body = app.get(f"/stream?{query}")

    spans = app.wait_for_spans(trace_id, "GET /stream", "row 0", "GET /stream stream")
    failed = [span for span in spans.values() if span.status.code == 2]
    assert body == b"0\n"
    assert [span.name for span in failed] == ["GET /stream stream"]
    assert failed[0].parent_span_id == spans["GET /stream"].span_id
    [event] = failed[0].events
    assert event.name == "exception"
    assert {one.key: one.value.string_value for one in event.attributes}[
        "exception.message"
    ] == "no more rows"


@pytest.mark.parametrize("query", ["rows=100000", "rows=100000&context"])
def test_a_client_that_leaves_takes_no_context_along(app: App, query: str) -> None:
    left, _, _ = app.get(f"/stream?{query}", leaves=True)
    app.wait_for_spans(left, "GET /stream")
    app.wait_for_logs(left, "log at the close")

    # The one worker goes on with the next.
    trace_id, _, _ = app.get("/nothing")
    app.wait_for_spans(trace_id, "GET /nothing")
    app.wait_for_logs(trace_id, "log of nothing")
    assert "log of nothing" not in {one.body.string_value for one in app.logs(left)}


def test_a_log_call_that_cannot_be_followed_does_not_end_in_the_app(app: App) -> None:
    trace_id, status, body = app.get("/log")

    assert (status, body) == (200, b"logged")
    app.wait_for_logs(trace_id, "'%d' % ('no number',) (TypeError)", "a loop", "caf\ufffd x")
    [record] = [one for one in app.logs(trace_id) if one.body.string_value.startswith("caf")]
    assert {one.key: one.value.string_value for one in record.attributes}["ratio"] == "NaN"
