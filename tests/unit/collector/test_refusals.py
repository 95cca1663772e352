"""What the receiver refuses says why, is counted, and is shown by `status` and `doctor`.

The table in docs/refusals.md is held against what is seen here.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests

from stack.refusals import Refusal, about, read_refusals
from stack.settings import ROOT
from stack.waiting import wait_for
from tests.unit.collector.running import SECONDS, Collector, plain, running, spans, trace

pytestmark = pytest.mark.collector

DOCS = ROOT / "docs/refusals.md"
JSON = "application/json"
AGENT = "slip/1.0"
TAKEN: dict[str, Any] = {"partialSuccess": {}}


@dataclass(frozen=True)
class Slip:
    """`reason`, `path`: what it is counted under. `says`: a part of the answer's message."""

    reason: str
    path: str
    status: int
    says: str
    at: str = "/v1/traces"
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


BASE64 = json.dumps(
    trace("base64", traceId=base64.b64encode(b"0123456789abcdef").decode())
).encode()

SLIPS = {
    "the doubled path": Slip(
        "path", "/v1/traces/v1/traces", 404, "already has /v1/", "/v1/traces/v1/traces"
    ),
    "the root": Slip("path", "/", 404, "no signal in the path", "/"),
    "the old path": Slip("path", "/v1/trace", 404, "in the plural", "/v1/trace"),
    "Zipkin's path": Slip("path", "zipkin", 404, "only OTLP", "/api/v2/spans"),
    "a prefix": Slip("path", "…/v1/logs", 404, "something stands before", "/otlp/v1/logs"),
    "any other path": Slip("path", "other", 404, "/v1/traces, /v1/metrics", "/x\u001b[2J?k=v"),
    "GET": Slip("method", "/v1/traces", 405, "POST", method="GET", body=b""),
    "sendBeacon's text/plain": Slip(
        "type", "/v1/traces", 415, "sendBeacon",
        headers={"Content-Type": "text/plain;charset=UTF-8"},
    ),
    "a form": Slip(
        "type", "/v1/logs", 415, JSON, "/v1/logs",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    ),
    "no type": Slip("type", "/v1/metrics", 415, JSON, "/v1/metrics", headers={"Content-Type": ""}),
    "brotli": Slip(
        "encoding", "/v1/traces", 400, "unsupported Content-Encoding",
        headers={"Content-Encoding": "br"},
    ),
    # Upstream: 500 and "failed to marshal error message" (core#15995).
    "brotli of an unknown type": Slip(
        "encoding", "/v1/logs", 400, "unsupported Content-Encoding", "/v1/logs",
        headers={"Content-Encoding": "br", "Content-Type": "text/plain"},
    ),
    "broken gzip": Slip(
        "encoding", "/v1/metrics", 400, "not compressed as", "/v1/metrics",
        headers={"Content-Encoding": "gzip"},
    ),
    "base64 ids": Slip("ids", "/v1/traces", 400, "hex digits", body=BASE64),
    "no JSON": Slip("malformed", "/v1/logs", 400, "no JSON object", "/v1/logs", body=b"[]"),
    "two requests in one body": Slip(
        "malformed", "/v1/metrics", 400, "more than one JSON document", "/v1/metrics",
        body=b"{}\n{}",
    ),
    "JSON as protobuf": Slip(
        "malformed", "/v1/traces", 400, "Content-Type: application/json",
        headers={"Content-Type": "application/x-protobuf"},
    ),
    "above 8 MiB": Slip(
        "heavy", "/v1/traces", 400, "larger than 8 MiB", body=b'{"a":"' + b"x" * (9 << 20) + b'"}'
    ),
    "too deep": Slip(
        "heavy", "/v1/logs", 400, "nested deeper", "/v1/logs",
        body=b'{"a":' + b"[" * 200 + b"]" * 200 + b"}",
    ),
    "logs sent to the traces' path": Slip(
        "unknown", "/v1/traces", 200, "resourceLogs",
        body=b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{}]}]}]}',
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def shared(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with running(binary, tmp_path_factory.mktemp("refusals")) as started:
        yield started


def refusals(collector: Collector) -> list[Refusal]:
    return read_refusals(f"{collector.url('COLLECTOR_METRICS_PORT')}/metrics", ["otlp"])[0]


def last(collector: Collector, reason: str, path: str) -> Refusal | None:
    return next(
        (one for one in refusals(collector) if (one.reason, one.path) == (reason, path)), None
    )


@pytest.mark.parametrize("slip", SLIPS.values(), ids=SLIPS)
def test_a_slip_is_answered_counted_and_shown_with_the_cure(shared: Collector, slip: Slip) -> None:
    before = last(shared, slip.reason, slip.path)

    answer = requests.request(
        slip.method,
        shared.otlp + slip.at,
        data=slip.body,
        headers={"User-Agent": AGENT, "Content-Type": JSON, **slip.headers},
        timeout=SECONDS,
    )

    assert (answer.status_code, slip.says in answer.text) == (slip.status, True), answer.text
    found = last(shared, slip.reason, slip.path)
    assert found is not None
    assert found.requests == (before.requests if before else 0) + 1
    assert (found.user_agent, found.receiver) == (AGENT, "otlp")
    assert time.time() - found.last < SECONDS
    assert len(found.why) > 20, found
    shown = about(found, time.time()) + found.why
    assert shown.isprintable()
    assert "?k=v" not in shown


@pytest.mark.parametrize("path", ["/v1/traces/", "//v1/traces", "/v1//traces///"])
def test_slashes_too_many_do_no_harm(shared: Collector, path: str) -> None:
    sent = trace(f"GET {path}")

    answer = requests.post(shared.otlp + path, json=sent, timeout=SECONDS, allow_redirects=False)

    assert answer.status_code == 200, answer.text
    shared.wait_for_file("traces", f"GET {path}")


def test_a_page_of_elsewhere_is_counted(shared: Collector) -> None:
    answer = requests.options(
        f"{shared.otlp}/v1/traces",
        headers={
            "Origin": "https://elsewhere.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
        timeout=SECONDS,
    )

    assert "Access-Control-Allow-Origin" not in answer.headers
    found = last(shared, "origin", "/v1/traces")
    assert found is not None
    assert found.detail == "https://elsewhere.example content-type"
    assert "cors.allowed_origins" in found.why


def test_http_on_the_port_of_grpc_is_told_so(shared: Collector) -> None:
    url = shared.url("OTLP_GRPC_PORT") + "/v1/traces"

    answer = requests.post(url, json={}, headers={"User-Agent": AGENT}, timeout=SECONDS)

    assert (answer.status_code, "4318" in answer.text) == (400, True), answer.text
    found = wait_for_refusal(shared, "protocol", "/v1/traces")
    assert (found.protocol, found.user_agent) == ("grpc", AGENT)


def test_tls_on_the_port_of_grpc_is_counted(shared: Collector) -> None:
    url = shared.url("OTLP_GRPC_PORT").replace("http:", "https:")

    with pytest.raises(requests.exceptions.ConnectionError):
        requests.post(url, json={}, timeout=SECONDS)

    found = wait_for_refusal(shared, "tls", "other")
    assert "http:// in place of https://" in found.why


def test_grpc_on_the_port_of_http_is_counted(shared: Collector) -> None:
    with pytest.raises(grpc.RpcError):
        called(shared.otlp, f"{OTLP}.trace.v1.TraceService/Export")

    found = last(shared, "protocol", "other")
    assert found is not None
    assert (found.protocol, "4317" in found.why) == ("http", True)


@dataclass(frozen=True)
class Call:
    method: str
    body: bytes
    reason: str
    code: grpc.StatusCode
    path: str


OTLP = "/opentelemetry.proto.collector"
CALLS = {
    "profiles": Call(
        f"{OTLP}.profiles.v1development.ProfilesService/Export", b"",
        "path", grpc.StatusCode.UNIMPLEMENTED, "other",
    ),
    "Jaeger's": Call(
        "/jaeger.api_v2.CollectorService/PostSpans", b"",
        "path", grpc.StatusCode.UNIMPLEMENTED, "other",
    ),
    "above 8 MiB": Call(
        f"{OTLP}.trace.v1.TraceService/Export", b"x" * (9 << 20),
        "heavy", grpc.StatusCode.RESOURCE_EXHAUSTED, f"{OTLP}.trace.v1.TraceService/Export",
    ),
    "no protobuf": Call(
        f"{OTLP}.logs.v1.LogsService/Export", b"no protobuf",
        "malformed", grpc.StatusCode.INVALID_ARGUMENT, f"{OTLP}.logs.v1.LogsService/Export",
    ),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_that_is_refused_is_counted(shared: Collector, call: Call) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        called(shared.url("OTLP_GRPC_PORT"), call.method, call.body)

    assert refused.value.code() is call.code, refused.value
    found = wait_for_refusal(shared, call.reason, call.path)
    assert found.user_agent.startswith(AGENT)


def called(url: str, method: str, body: bytes = b"") -> bytes:
    agent = ("grpc.primary_user_agent", AGENT)
    with grpc.insecure_channel(url.removeprefix("http://"), [agent]) as channel:
        call: Callable[..., bytes] = channel.unary_unary(method)
        return call(body, timeout=SECONDS)


def wait_for_refusal(collector: Collector, reason: str, path: str) -> Refusal:
    """Over gRPC it is counted when the call is over, which the client sees earlier."""
    wait_for(f"{reason} at {path}", lambda: last(collector, reason, path), seconds=SECONDS)
    found = last(collector, reason, path)
    assert found is not None
    return found


def test_a_healthy_connection_is_no_refusal(binary: Path, tmp_path: Path) -> None:
    with running(binary, tmp_path) as collector:
        collector.post("traces", trace("GET /"))
        called(collector.url("OTLP_GRPC_PORT"), f"{OTLP}.trace.v1.TraceService/Export")
        for port in ("OTLP_GRPC_PORT", "OTLP_HTTP_PORT"):
            socket.create_connection(("127.0.0.1", int(collector.environment[port])), 5).close()

        assert refusals(collector) == []


def test_what_old_senders_call_scopes_arrives(shared: Collector) -> None:
    """The example of a vendor's documentation that upstream answered 200 and lost: core#6320."""
    sent = trace("GET /old")
    scope = sent["resourceSpans"][0].pop("scopeSpans")[0]
    scope["instrumentationLibrary"] = scope.pop("scope")
    sent["resourceSpans"][0]["instrumentationLibrarySpans"] = [scope]

    answer = requests.post(f"{shared.otlp}/v1/traces", json=sent, timeout=SECONDS)

    assert (answer.status_code, answer.json()) == (200, TAKEN)
    shared.wait_for_file("traces", "GET /old")


def test_one_span_that_cannot_be_read_is_lost_alone_and_counted(shared: Collector) -> None:
    sent = trace("GET /good")
    bad = {**trace("GET /bad")["resourceSpans"][0]["scopeSpans"][0]["spans"][0], "kind": "SERVER"}
    sent["resourceSpans"][0]["scopeSpans"][0]["spans"].append(bad)

    answer = requests.post(f"{shared.otlp}/v1/traces", json=sent, timeout=SECONDS)

    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1", answer.text
    assert "GET /bad" not in shared.wait_for_file("traces", "GET /good")
    rejected = read_refusals(f"{shared.url('COLLECTOR_METRICS_PORT')}/metrics", ["otlp"])[1]
    assert ("traces", "malformed", 1) in [(one.signal, one.reason, one.items) for one in rejected]


def test_numbers_that_json_has_not_and_impossible_times_arrive(shared: Collector) -> None:
    numbers: dict[str, Any] = {"doubleValue": float("nan")}
    odd = trace("GET /nan", endTimeUnixNano="0")
    span = odd["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span["attributes"] = [{"key": "ratio", "value": numbers}]
    record = {
        "observedTimeUnixNano": "1700000000000000000",
        "body": {"stringValue": "observed"},
        "attributes": [{"key": "ratio", "value": {"doubleValue": "-Infinity"}}],
    }
    # As Python's json writes it: no JSON.
    assert "NaN" in json.dumps(odd)

    answer = requests.post(
        f"{shared.otlp}/v1/traces",
        data=json.dumps(odd),
        headers={"Content-Type": JSON},
        timeout=SECONDS,
    )
    assert (answer.status_code, answer.json()) == (200, TAKEN)
    shared.post("logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})

    got = spans(shared.wait_for_file("traces", "GET /nan"))["GET /nan"]
    assert plain(got["attributes"])["ratio"] == "NaN"
    assert got["endTimeUnixNano"] == got["startTimeUnixNano"] == "1700000000000000000"
    assert "end 0" in plain(got["attributes"])["otel_stack.time_repaired"]
    line = shared.wait_for_file("logs", "observed").splitlines()[-1]
    [arrived] = json.loads(line)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert arrived["timeUnixNano"] == "1700000000000000000"
    assert plain(arrived["attributes"]) == {"ratio": "-Infinity"}


def test_the_documentation_has_a_line_for_each_reason() -> None:
    source = (ROOT / "collector/build/admission/refusals.go").read_text()
    reasons = set(re.findall(r'^\treason\w+ += "(\w+)"', source, re.MULTILINE))
    documented = set(re.findall(r"^\| `(\w+)` \|", DOCS.read_text(), re.MULTILINE))

    assert documented == reasons
    table = DOCS.read_text()
    for name, slip in SLIPS.items():
        [line] = [row for row in table.splitlines() if row.startswith(f"| `{slip.reason}` |")]
        assert str(slip.status) in line, name
