"""What `make doctor` says of the telemetry of services: each flaw, and what is none."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from stack.doctor.setup import Setup
from stack.doctor.telemetry import check_telemetry, environment
from stack.finding import Finding
from stack.otlp_json import VERIFY_SERVICE
from stack.telemetry import KINDS

TRACE = "0af7651916cd43dd8448eb211c80319c"
ROUTED = {"http.request.method": "GET", "http.route": "/orders/<id>"}


@pytest.fixture
def setup(make: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch) -> Setup:
    monkeypatch.setattr(environment, "clashes_of", lambda _: [])
    return make()


def attributes(given: dict[str, Any]) -> list[dict[str, Any]]:
    def value(one: Any) -> dict[str, Any]:
        return {"intValue": str(one)} if isinstance(one, int) else {"stringValue": one}

    return [{"key": name, "value": value(one)} for name, one in given.items()]


class Record:
    """Writes spans and log records as the collector does, a line each."""

    def __init__(self, setup: Setup) -> None:
        self._folder = setup.plan.telemetry_dir
        self._folder.mkdir(parents=True, exist_ok=True)
        self._made = 0

    def span(
        self,
        service: str = "orders",
        *,
        name: str = "GET /orders/<id>",
        kind: str = "SERVER",
        span_id: str = "",
        parent_id: str = "",
        start: float = 60,
        seconds: float = 1,
        status: int = 0,
        scope: str = "flask",
        events: Iterable[dict[str, Any]] = (),
        resource: dict[str, Any] | None = None,
        **given: Any,
    ) -> str:
        """`start`: seconds ago. Dots in the names of attributes are written as two underscores."""
        self._made += 1
        span_id = span_id or f"{self._made:016x}"
        begin = time.time() - start
        span = {
            "traceId": TRACE,
            "spanId": span_id,
            "parentSpanId": parent_id,
            "name": name,
            "kind": KINDS.index(kind),
            "startTimeUnixNano": str(int(begin * 1e9)),
            "endTimeUnixNano": str(int((begin + seconds) * 1e9)),
            "attributes": attributes(given.get("attributes", ROUTED if kind == "SERVER" else {})),
            "status": {"code": status},
            "events": list(events),
        }
        scoped = {"scope": {"name": scope}, "spans": [span]}
        self._write("traces", "resourceSpans", service, resource, {"scopeSpans": [scoped]})
        return span_id

    def log(
        self, service: str = "orders", *, seconds_ago: float = 59.5, trace_id: str = ""
    ) -> None:
        at = str(int((time.time() - seconds_ago) * 1e9))
        scoped = {"scope": {}, "logRecords": [{"timeUnixNano": at, "traceId": trace_id}]}
        self._write("logs", "resourceLogs", service, None, {"scopeLogs": [scoped]})

    def _write(
        self,
        signal: str,
        key: str,
        service: str,
        resource: dict[str, Any] | None,
        content: dict[str, Any],
    ) -> None:
        own = {"service.instance.id": "1", "telemetry.sdk.language": "python", **(resource or {})}
        named = {**({"service.name": service} if service else {}), **own}
        whole = {"resource": {"attributes": attributes(named)}, **content}
        with (self._folder / f"{signal}.jsonl").open("a") as file:
            file.write(json.dumps({key: [whole]}) + "\n")


@pytest.fixture
def record(setup: Setup) -> Record:
    return Record(setup)


def told(setup: Setup) -> list[Finding]:
    return [finding for finding in check_telemetry(setup) if finding.verdict != "ok"]


def no_name(record: Record) -> None:
    record.span("unknown_service:python")


def empty_name(record: Record) -> None:
    record.span("")


def two_languages(record: Record) -> None:
    record.span()
    record.span(resource={"service.instance.id": "2", "telemetry.sdk.language": "webjs"})


def two_frameworks(record: Record) -> None:
    record.span(scope="flask")
    record.span(scope="fastapi", resource={"service.instance.id": "2"})


def old_http(record: Record) -> None:
    record.span(attributes={"http.method": "GET", "http.route": "/"})


def ids(*names: str) -> Callable[[Record], None]:
    def made(record: Record) -> None:
        for name in names:
            record.span(name=name, kind="INTERNAL")

    return made


def without_route(record: Record) -> None:
    record.span(name="GET", attributes={"http.request.method": "GET"})


def server_error(record: Record) -> None:
    record.span(attributes={**ROUTED, "http.response.status_code": 500})


def escaped(record: Record) -> None:
    event = {"name": "exception", "attributes": attributes({"exception.escaped": "True"})}
    record.span(kind="INTERNAL", events=[event])


def traceless_logs(record: Record) -> None:
    record.span()
    for _ in range(6):
        record.log()
    record.log(trace_id=TRACE)


def server_behind(record: Record) -> None:
    client = record.span("shop", kind="CLIENT", start=60)
    record.span("orders", parent_id=client, start=65)


def server_ahead(record: Record) -> None:
    for _ in range(3):
        client = record.span("shop", kind="CLIENT", start=60)
        record.span("orders", parent_id=client, start=55)


def copies(record: Record) -> None:
    for number in range(3):
        for _ in range(2):
            record.span(span_id=f"{number:016x}")


def twice_instrumented(record: Record) -> None:
    for _ in range(3):
        outer = record.span(scope="asgi")
        record.span(scope="fastapi", parent_id=outer)


@pytest.mark.parametrize(
    ("flawed", "what", "todo"),
    [
        (
            no_name,
            "unknown_service:python has no name of its own (telemetry.sdk.language=python)",
            "OTEL_SERVICE_NAME",
        ),
        (empty_name, "a service without a name has no name", "OTEL_SERVICE_NAME"),
        (two_languages, "orders is the name of two services, one in python and one in webjs", ""),
        (two_frameworks, "one served by fastapi and one served by flask", "OTEL_SERVICE_NAME"),
        (old_http, "orders uses the old names", "OTEL_SEMCONV_STABILITY_OPT_IN=http"),
        (ids(*(f"GET /orders/{n}" for n in range(3))), "3 for GET /orders/{id}", "the route"),
        (ids(*(f"job {n:04}" for n in range(3))), "orders has ids in the names of spans", ""),
        (
            ids(*(f"read {n}f7651916cd43dd8448eb211c80319c" for n in range(3))),
            "3 for read {id}",
            "",
        ),
        (
            ids(*(f"GET /u/{n}c9a3f1e-7a1b-4c39-9d1e-0d9c0f6f5c11" for n in range(3))),
            "3 for GET /u/{id}",
            "",
        ),
        (without_route, "orders has no http.route on 1 of 1 server spans", "instrumentation"),
        (server_error, "orders has 1 span of errors without their status", "set_status"),
        (escaped, "orders has 1 span of errors without their status", "set_status"),
        (traceless_logs, "orders has no trace id on 6 of 7 log records", "logging"),
        (server_behind, "orders has a clock that is 5.0 s behind that of shop", "NTP"),
        (server_ahead, "orders has a clock that is at least 4.0 s ahead of that of shop", "NTP"),
        (copies, "orders sends 3 of 3 spans more than once", "exporter"),
        (twice_instrumented, "orders records 3 requests twice, by asgi and fastapi", "one of them"),
    ],
)
def test_each_flaw_is_one_line_with_the_service_and_the_cure(
    setup: Setup, record: Record, flawed: Callable[[Record], None], what: str, todo: str
) -> None:
    # given
    flawed(record)
    # when
    [finding] = told(setup)
    # then
    assert (finding.check, finding.verdict) == ("telemetry", "warning")
    assert what in finding.what
    assert todo in finding.todo
    assert "ago" in finding.what


def test_a_flaw_names_the_trace_that_shows_it(setup: Setup, record: Record) -> None:
    server_error(record)
    [finding] = told(setup)
    assert finding.what.endswith(f" ago: make trace ID={TRACE[:8]}")


def two_workers(record: Record) -> None:
    for instance in ("1", "2"):
        record.span(resource={"service.instance.id": instance})


def a_web_process_and_its_worker(record: Record) -> None:
    record.span(scope="flask")
    record.span(scope="celery", kind="CONSUMER", resource={"service.instance.id": "2"})


def two_namespaces(record: Record) -> None:
    record.span(scope="flask", resource={"service.namespace": "a"})
    record.span(scope="fastapi", resource={"service.namespace": "b", "service.instance.id": "2"})


def both_names_of_http(record: Record) -> None:
    record.span(attributes={**ROUTED, "http.method": "GET"})


def nothing_found(record: Record) -> None:
    record.span(attributes={"http.request.method": "GET", "http.response.status_code": 404})


def a_few_early_answers(record: Record) -> None:
    record.span()
    record.span()
    record.span(attributes={"http.request.method": "OPTIONS"})


def an_error_with_its_status(record: Record) -> None:
    record.span(attributes={**ROUTED, "http.response.status_code": 500}, status=2)


def an_error_that_somebody_decided_is_none(record: Record) -> None:
    record.span(attributes={**ROUTED, "http.response.status_code": 500}, status=1)


def a_handled_exception(record: Record) -> None:
    record.span(events=[{"name": "exception", "attributes": []}])


def a_users_mistake(record: Record) -> None:
    record.span(attributes={**ROUTED, "http.response.status_code": 404})


def logs_between_requests(record: Record) -> None:
    record.span()
    for _ in range(9):
        record.log(seconds_ago=30)


def some_logs_of_a_thread_of_its_own(record: Record) -> None:
    record.span()
    for _ in range(5):
        record.log()
    for _ in range(6):
        record.log(trace_id=TRACE)


def a_call_within_its_clients(record: Record) -> None:
    client = record.span("shop", kind="CLIENT", start=60, seconds=2)
    record.span("orders", parent_id=client, start=60.05)


def a_client_that_gave_up(record: Record) -> None:
    for start in (59, 59, 55):
        client = record.span("shop", kind="CLIENT", start=60, seconds=2)
        record.span("orders", parent_id=client, start=start)


def a_browsers_clock(record: Record) -> None:
    browser = {"telemetry.sdk.language": "webjs"}
    client = record.span("page", kind="CLIENT", start=60, resource=browser)
    record.span("orders", parent_id=client, start=90)


def one_batch_sent_again(record: Record) -> None:
    for number in range(20):
        record.span(span_id=f"{number:016x}")
    for number in range(3):
        record.span(span_id=f"{number:016x}")


def a_service_that_calls_itself(record: Record) -> None:
    for _ in range(3):
        client = record.span(kind="CLIENT", parent_id=record.span())
        record.span(parent_id=client)


def our_own(record: Record) -> None:
    record.span(VERIFY_SERVICE, attributes={"http.method": "GET"})


def long_ago(record: Record) -> None:
    record.span(attributes={"http.method": "GET"}, start=7200)


@pytest.mark.parametrize(
    "fine",
    [
        two_workers,
        a_web_process_and_its_worker,
        two_namespaces,
        both_names_of_http,
        nothing_found,
        a_few_early_answers,
        an_error_with_its_status,
        an_error_that_somebody_decided_is_none,
        a_handled_exception,
        a_users_mistake,
        logs_between_requests,
        some_logs_of_a_thread_of_its_own,
        a_call_within_its_clients,
        a_client_that_gave_up,
        a_browsers_clock,
        one_batch_sent_again,
        a_service_that_calls_itself,
        our_own,
        long_ago,
        ids("GET /orders/1", "GET /orders/2"),
        ids("GET /v1/a", "GET /v2/a", "GET /v3/a", "cafe", "feed", "deadbeef"),
        ids("SELECT orders", "GET", "POST /api/2fa", "facade0facade"),
        lambda _: None,
    ],
)
def test_what_is_no_flaw_is_not_told(
    setup: Setup, record: Record, fine: Callable[[Record], None]
) -> None:
    fine(record)
    assert told(setup) == []


def test_clashes_of_opentelemetrys_packages_are_told(
    make: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given
    uv = tmp_path / "uv"
    uv.write_text(
        "#!/bin/sh\n"
        "echo 'The package `opentelemetry-sdk` requires `opentelemetry-api==2`, but `1` is' >&2\n"
        "echo 'The package `boto3` requires `botocore==2`, but `1` is installed' >&2\n"
        "exit 1\n"
    )
    uv.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    # when
    found = environment.clashes_of(tmp_path)
    # then
    assert found == ["opentelemetry-sdk requires opentelemetry-api==2, but 1 is"]
    # and
    monkeypatch.setattr(environment, "clashes_of", lambda _: found)
    setup = make()
    python = setup.plan.process("backend-flask").python
    assert python is not None
    if (python.bin / "python").exists():
        [finding] = told(setup)
        assert "backend-flask" in finding.what
