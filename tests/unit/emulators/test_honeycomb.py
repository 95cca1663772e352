"""Honeycomb: by OpenTelemetry's own exporter, by hand, and its API."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

import pytest
import requests
import zstandard
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from emulators.client import Client
from tests.unit.emulators import otlp_data

KEY = "local-honeycomb-key"
PROTOBUF = "application/x-protobuf"


@pytest.fixture(scope="module")
def url(shared: Client) -> str:
    return shared.address("honeycomb")


def post(url: str, body: bytes | str, **headers: str) -> requests.Response:
    sent = {"x-honeycomb-team": KEY, "Content-Type": PROTOBUF}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(
        url,
        data=body,
        headers={name: value for name, value in sent.items() if value},
        timeout=60,
    )


def test_spans_arrive_as_honeycomb_shows_them(emulators: Client, url: str, trace_id: str) -> None:
    answer = post(f"{url}/v1/traces", otlp_data.traces(trace_id))

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == PROTOBUF
    assert not ExportTraceServiceResponse.FromString(answer.content).HasField("partial_success")
    [held] = emulators.holds("honeycomb", trace_id)["traces"]
    assert held["dataset"] == "backend-flask"
    event = held["event"]
    assert event["trace.trace_id"] == trace_id
    assert event["duration_ms"] == 5.0
    assert event["http.route"] == "/api/activities/home"
    assert event["library.name"] == "test"
    assert event["meta.signal_type"] == "trace"
    assert "trace.parent_id" not in event
    assert emulators.ids("honeycomb")[f"{trace_id}:{event['trace.span_id']}"] == 1


def test_all_three_signals_are_found_by_one_trace_id(
    emulators: Client, url: str, trace_id: str
) -> None:
    assert post(f"{url}/v1/traces", otlp_data.traces(trace_id)).ok
    assert post(f"{url}/v1/logs", otlp_data.logs(trace_id)).ok
    metrics = otlp_data.metrics(trace_id)
    assert post(f"{url}/v1/metrics", metrics, x_honeycomb_dataset="metrics").ok

    held = emulators.holds("honeycomb", trace_id)

    assert {signal: len(items) for signal, items in held.items()} == {
        "traces": 1,
        "logs": 1,
        "metrics": 1,
    }
    assert held["logs"][0]["event"]["body"] == "it broke"
    assert held["metrics"][0]["dataset"] == "metrics"
    assert held["metrics"][0]["event"]["app.requests"] == 7


def test_metrics_need_a_dataset(url: str, trace_id: str) -> None:
    answer = post(f"{url}/v1/metrics", otlp_data.metrics(trace_id))
    assert answer.status_code == 400
    assert b"x-honeycomb-dataset" in answer.content


def test_values_add_up_by_metric_and_time(emulators: Client, url: str, trace_id: str) -> None:
    metrics = otlp_data.metrics(trace_id)
    before = emulators.sums("honeycomb")
    for _ in range(2):
        assert post(f"{url}/v1/metrics", metrics, x_honeycomb_dataset="metrics").ok

    sums = emulators.sums("honeycomb")
    [(name, total)] = sums.items() - before.items()
    assert name.startswith("app.requests:")
    assert total == 14


def test_opentelemetrys_exporter_is_taken(emulators: Client, url: str) -> None:
    provider = TracerProvider(resource=Resource.create({"service.name": "sdk"}))
    headers = {"x-honeycomb-team": KEY}
    exporter = OTLPSpanExporter(f"{url}/v1/traces", headers=headers, timeout=60)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("test").start_as_current_span("hello") as span:
        trace_id = f"{span.get_span_context().trace_id:032x}"
    provider.shutdown()

    [held] = emulators.holds("honeycomb", trace_id)["traces"]
    assert held["event"]["name"] == "hello"


@pytest.mark.parametrize(
    ("key", "why"),
    [("", b"missing 'x-honeycomb-team' header"), ("wrong", b"unknown API key")],
)
def test_only_the_known_key_gets_in(
    emulators: Client, url: str, trace_id: str, key: str, why: bytes
) -> None:
    answer = post(f"{url}/v1/traces", otlp_data.traces(trace_id), x_honeycomb_team=key)

    assert answer.status_code == 401
    assert why in answer.content
    assert emulators.holds("honeycomb", trace_id) == {}
    assert emulators.requests("honeycomb")[-1]["status"] == 401
    assert why.decode() in emulators.requests("honeycomb")[-1]["why"]


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/octet-stream"])
def test_another_content_type_is_415(url: str, trace_id: str, content_type: str) -> None:
    answer = post(f"{url}/v1/traces", otlp_data.traces(trace_id), Content_Type=content_type)
    assert answer.status_code == 415


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"GET / HTTP/1.1", b"\x0a\xff\x01"])
def test_garbage_is_400(url: str, body: bytes) -> None:
    answer = post(f"{url}/v1/traces", body)
    assert answer.status_code == 400
    assert b"invalid OTLP traces request" in answer.content


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "1",
        "{",
        '{"resourceSpans": 3}',
        '{"a":' * 500 + "1" + "}" * 500,
        '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}',
    ],
)
def test_garbage_json_is_400(url: str, body: str) -> None:
    answer = post(f"{url}/v1/traces", body, Content_Type="application/json")
    assert answer.status_code == 400
    assert "invalid OTLP traces request" in answer.json()["message"]


def test_json_has_hexadecimal_ids(emulators: Client, url: str, trace_id: str) -> None:
    span = {"traceId": trace_id, "spanId": "00000000000000ab", "name": "json", "kind": 2}
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [{**span, "someday": 1}]}]}]}

    answer = post(f"{url}/v1/traces", json.dumps(body), Content_Type="application/json")

    assert answer.json() == {}
    [held] = emulators.holds("honeycomb", trace_id)["traces"]
    assert held["event"]["trace.span_id"] == "00000000000000ab"
    assert held["dataset"] == "unknown_service"


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("zstd", zstandard.compress), ("identity", bytes)],
)
def test_compressed_bodies_are_read(
    emulators: Client, url: str, trace_id: str, encoding: str, compress: Any
) -> None:
    body = compress(otlp_data.traces(trace_id))
    assert post(f"{url}/v1/traces", body, Content_Encoding=encoding).ok
    assert len(emulators.holds("honeycomb", trace_id)["traces"]) == 1


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("br", b"x", 415),
        ("gzip", b"not gzip", 400),
        ("gzip", gzip.compress(b"x" * 1000, mtime=0)[:-10], 400),
        ("zstd", b"not zstd", 400),
        ("gzip", gzip.compress(b"\0" * 17_000_000), 413),
        ("zstd", zstandard.compress(b"\0" * 17_000_000), 413),
        ("", b"\0" * 17_000_000, 413),
    ],
)
def test_bad_compression_and_bombs_are_refused(
    url: str, encoding: str, body: bytes, status: int
) -> None:
    assert post(f"{url}/v1/traces", body, Content_Encoding=encoding).status_code == status


def test_spans_without_valid_ids_are_rejected_in_a_partial_success(
    emulators: Client, url: str, trace_id: str
) -> None:
    request = ExportTraceServiceRequest.FromString(otlp_data.traces(trace_id, count=3))
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[0].trace_id = bytes(16)
    spans[1].span_id = b"short"

    answer = post(f"{url}/v1/traces", request.SerializeToString())

    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert answer.status_code == 200
    assert partial.rejected_spans == 2
    assert "invalid trace id" in partial.error_message
    assert len(emulators.holds("honeycomb", trace_id)["traces"]) == 1


def test_told_to_reject_part(emulators: Client, url: str, trace_id: str) -> None:
    emulators.break_("honeycomb", "partial", share=0.3)
    answer = post(f"{url}/v1/traces", otlp_data.traces(trace_id, count=10))
    assert ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans == 3
    assert len(emulators.holds("honeycomb", trace_id)["traces"]) == 7


def test_auth_says_whose_key_it_is(url: str) -> None:
    def auth(key: str) -> requests.Response:
        return requests.get(f"{url}/1/auth", headers={"X-Honeycomb-Team": key}, timeout=60)

    assert auth("wrong").status_code == 401
    assert auth("wrong").json() == {"error": "unknown API key - check your credentials"}
    assert requests.get(f"{url}/1/auth", timeout=60).status_code == 401
    answer = auth(KEY).json()
    assert answer["team"] == {"name": "local-team", "slug": "local-team"}
    assert answer["environment"]["slug"] == "local"
    assert answer["api_key_access"]["events"] is True


def test_throttling_is_a_problem_with_its_limits(
    emulators: Client, url: str, trace_id: str
) -> None:
    emulators.break_("honeycomb", "429", retry_after=7)
    answer = post(f"{url}/v1/traces", otlp_data.traces(trace_id))
    assert answer.status_code == 429
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Retry-After"] == "7"
    assert "reset=7" in answer.headers["RateLimit"]
    assert answer.json()["type"].endswith("/rate-limited")


def test_a_deploy_marker_is_set(url: str) -> None:
    def mark(body: object, dataset: str = "__all__", key: str = KEY) -> requests.Response:
        return requests.post(
            f"{url}/1/markers/{dataset}", json=body, headers={"X-Honeycomb-Team": key}, timeout=60
        )

    before = int(time.time())
    created = mark({"message": "v1.2.3", "type": "deploy"})
    assert created.status_code == 201
    assert created.json()["message"] == "v1.2.3"
    assert created.json()["start_time"] >= before
    assert mark({"text": "unknown field"}).status_code == 422
    assert mark({"start_time": "now"}).status_code == 422
    assert mark({"message": "x"}, dataset="never-seen").status_code == 404
    assert mark({"message": "x"}, key="wrong").status_code == 401
    listed = requests.get(
        f"{url}/1/markers/__all__", headers={"X-Honeycomb-Team": KEY}, timeout=60
    ).json()
    assert created.json()["id"] in [one["id"] for one in listed]


HEATMAP = {
    "calculations": [
        {"op": "HEATMAP", "column": "duration_ms"},
        {"op": "P90", "column": "duration_ms"},
    ],
    "filters": [{"column": "service.name", "op": "=", "value": "backend-flask"}],
    "orders": [{"op": "P90", "column": "duration_ms", "order": "descending"}],
    "time_range": 600,
}


def test_a_query_is_created_and_named(url: str, trace_id: str) -> None:
    post(f"{url}/v1/traces", otlp_data.traces(trace_id, service="queried"))

    def api(path: str, body: object) -> requests.Response:
        return requests.post(
            f"{url}/1/{path}", json=body, headers={"X-Honeycomb-Team": KEY}, timeout=60
        )

    query = api("queries/queried", HEATMAP)
    assert query.status_code == 200
    assert query.json()["calculations"] == HEATMAP["calculations"]
    annotation = {"name": "Duration", "query_id": query.json()["id"]}
    assert api("query_annotations/queried", annotation).status_code == 200
    assert api("query_annotations/queried", {**annotation, "query_id": "x"}).status_code == 404
    assert api("queries/never-seen", HEATMAP).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"calculations": [{"op": "P90"}]},
        {"calculations": [{"op": "COUNT", "column": "x"}]},
        {"calculations": [{"op": "MEDIAN", "column": "x"}]},
        {"filters": [{"column": "x", "op": "~", "value": 1}]},
        {"filters": [{"column": "x", "op": "exists", "value": 1}]},
        {"filters": [{"column": "x", "op": "="}]},
        {"filters": [{"column": "x", "op": "in", "value": 1}]},
        {"orders": [{"op": "COUNT"}]},
        {"limit": 1001},
        {"time_range": 600, "start_time": 1, "end_time": 2},
        {"colour": "red"},
    ],
)
def test_a_wrong_query_is_refused(url: str, wrong: dict[str, object]) -> None:
    answer = requests.post(
        f"{url}/1/queries/__all__",
        json={**HEATMAP, **wrong},
        headers={"X-Honeycomb-Team": KEY},
        timeout=60,
    )
    assert answer.status_code == 422, answer.text
