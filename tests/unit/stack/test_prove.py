"""The proof at the end of `up`: it holds only when both services' spans are on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from stack.collector_config.text import CONFIG_FILE, env_defaults
from stack.errors import StackError
from stack.prove import prove
from stack.services import Plan, Process, make_plan
from stack.settings import ROOT, Settings


class App(HTTPServer):
    """Answers `status`; writes a span of each of `services` for the trace that it is asked in."""

    def __init__(self, record: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.record = record
        self.status = 200
        self.services: tuple[str, ...] = ("backend-flask", "profiles-flask")


class Handler(BaseHTTPRequestHandler):
    server: App

    def do_GET(self) -> None:
        trace_id = self.headers["traceparent"].split("-")[1]
        with self.server.record.open("a") as record:
            for service in self.server.services:
                record.write(json.dumps(export(trace_id, service)) + "\n")
        self.send_response(self.server.status)
        self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test's output quiet."""


def export(trace_id: str, service: str) -> dict[str, object]:
    span = {
        "traceId": trace_id,
        "spanId": "b7ad6b7169203331",
        "name": "GET",
        "startTimeUnixNano": "1",
        "endTimeUnixNano": "2",
    }
    attributes = [{"key": "service.name", "value": {"stringValue": service}}]
    scopes = [{"scope": {"name": "test"}, "spans": [span]}]
    return {"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": scopes}]}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    (tmp_path / "telemetry").mkdir()
    with App(tmp_path / "telemetry/traces.jsonl") as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def plan_for(tmp_path: Path) -> Callable[[int], Plan]:
    def make(port: int) -> Plan:
        defaults = env_defaults((ROOT / CONFIG_FILE).read_text())
        plan = make_plan(Settings(run_dir=tmp_path, collector=defaults), ROOT, "native")
        return changed(plan, ports={"BACKEND_PORT": port})

    return make


def changed(plan: Plan, **fields: Any) -> Plan:
    """`plan` with another backend."""

    def change(process: Process) -> Process:
        return replace(process, **fields) if process.name == "backend-flask" else process

    return replace(plan, processes=tuple(change(process) for process in plan.processes))


def renamed(plan: Plan, name: str | None) -> Plan:
    """`plan` with another name for the backend; None where nothing gives it one."""
    environment = plan.process("backend-flask").environment
    kept = {k: v for k, v in environment.items() if k != "OTEL_SERVICE_NAME"}
    named = {} if name is None else {"OTEL_SERVICE_NAME": name}
    return changed(plan, environment={**kept, **named})


def test_spans_of_both_services_are_the_proof(app: App, plan_for: Callable[[int], Plan]) -> None:
    # given a record that holds another trace already
    app.record.write_text(json.dumps(export("f" * 32, "backend-flask")) + "\n")
    # when
    [proof] = prove(plan_for(app.server_port), deadline=60)
    # then
    assert {span.service for span in proof.spans} == {"backend-flask", "profiles-flask"}
    assert {span.trace_id for span in proof.spans} == {proof.trace_id}


def test_a_service_whose_span_is_missing_is_named(
    app: App, plan_for: Callable[[int], Plan]
) -> None:
    # given
    app.services = ("backend-flask",)
    # then
    with pytest.raises(StackError, match=r"but no span of profiles-flask reached .* within 0\.2 s"):
        prove(plan_for(app.server_port), deadline=0.2)


def test_a_service_that_was_renamed_is_expected_under_its_name(
    app: App, plan_for: Callable[[int], Plan]
) -> None:
    # given: another OTEL_SERVICE_NAME in services/backend/otel.env
    plan = renamed(plan_for(app.server_port), "shop-api")
    app.services = ("shop-api", "profiles-flask")
    # then
    [proof] = prove(plan, deadline=60)
    assert {span.service for span in proof.spans} == {*app.services}


def test_what_came_instead_is_told(app: App, plan_for: Callable[[int], Plan]) -> None:
    # given: services that still run under their old names
    plan = renamed(plan_for(app.server_port), "shop-api")
    # when
    with pytest.raises(StackError) as told:
        prove(plan, deadline=0.2)
    # then
    assert str(told.value) == (
        f"backend-flask answers, but no span of shop-api reached {app.record} within 0.2 s; "
        "this trace has spans of backend-flask, profiles-flask; see `make logs`"
    )
    # when
    app.services = ()
    with pytest.raises(StackError, match="none of this trace did"):
        prove(plan, deadline=0.2)


@pytest.mark.parametrize("name", ["", None])
def test_a_service_without_a_name_is_told_at_once(
    app: App, plan_for: Callable[[int], Plan], name: str | None
) -> None:
    plan = renamed(plan_for(app.server_port), name)

    with pytest.raises(StackError, match=r"backend/otel\.env sets OTEL_SERVICE_NAME"):
        prove(plan, deadline=60)


def test_an_answer_that_is_no_success_is_told(app: App, plan_for: Callable[[int], Plan]) -> None:
    # given
    app.status = 503
    # then
    with pytest.raises(StackError, match="/api/activities/home answers 503"):
        prove(plan_for(app.server_port), deadline=60)


def test_no_answer_is_told(app: App, plan_for: Callable[[int], Plan]) -> None:
    # given a port where nobody listens
    app.server_close()
    # then
    with pytest.raises(StackError, match="/api/activities/home does not answer"):
        prove(plan_for(app.server_port), deadline=60)


def test_without_a_service_the_collector_is_sent_a_trace(tmp_path: Path) -> None:
    # given a collector that takes it and keeps nothing
    with App(tmp_path / "traces.jsonl") as collector:
        thread = Thread(target=collector.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        defaults = env_defaults((ROOT / CONFIG_FILE).read_text())
        port = {"OTLP_HTTP_PORT": str(collector.server_port)}
        settings = Settings(run_dir=tmp_path, sample_app="off", collector={**defaults, **port})
        # then
        with pytest.raises(StackError, match="collector answers, but no span of otel-stack-verify"):
            prove(make_plan(settings, ROOT, "native"), deadline=0.2)
        collector.shutdown()
        thread.join()
