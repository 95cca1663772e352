"""Grafana Cloud: written by OpenTelemetry's exporter and by hand, read as `make verify` does."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from emulators.client import Client
from emulators.core.otlp import SIGNALS, Signal
from emulators.grafana_cloud.settings import Settings
from stack.asking import UnreachableError
from stack.otlp_json import gauge, log, span
from stack.vendors.grafana_cloud import reader

OWN = Settings()
SECONDS = 60
NOBODYS = "0" * 31 + "1"
BODIES = {
    "traces": lambda trace_id: span("shop", trace_id, "GET /"),
    "metrics": lambda trace_id: gauge("shop", trace_id, "orders.open"),
    "logs": lambda trace_id: log("shop", trace_id, "sold"),
}


@pytest.fixture(scope="module")
def url(shared: Client) -> str:
    return shared.address("grafana-cloud")


def basic(user: str = OWN.instance_id, token: str = OWN.token) -> str:
    return "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()


def send(url: str, signal: str, body: Any, authorization: str) -> requests.Response:
    return requests.post(
        f"{url}/otlp/v1/{signal}",
        json=body,
        headers={"Authorization": authorization},
        timeout=SECONDS,
    )


def query(url: str, path: str, token: str = OWN.read_token, **asked: str) -> requests.Response:
    return requests.get(
        f"{url}/api/datasources/proxy/uid/{path}",
        params=asked,
        headers={"Authorization": f"Bearer {token}"},
        timeout=SECONDS,
    )


@pytest.mark.parametrize("signal", SIGNALS)
def test_what_was_written_can_be_read(url: str, trace_id: str, signal: Signal) -> None:
    # given
    has = reader(url, OWN.read_token)
    assert not has(signal, trace_id)
    # when
    answer = send(url, signal, BODIES[signal](trace_id), basic())
    # then
    assert answer.status_code == 200
    assert has(signal, trace_id)
    assert not has(signal, NOBODYS)


def test_opentelemetrys_exporter_is_taken(emulators: Client, url: str) -> None:
    exporter = OTLPSpanExporter(f"{url}/otlp/v1/traces", headers={"Authorization": basic()})
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("test").start_as_current_span("sell") as made:
        trace_id = f"{made.get_span_context().trace_id:032x}"
    provider.shutdown()

    [held] = emulators.holds("grafana-cloud", trace_id)["traces"]
    assert held["name"] == "sell"
    found = query(url, f"grafanacloud-traces/api/traces/{trace_id}").json()
    [one] = found["batches"][0]["scopeSpans"][0]["spans"]
    assert base64.b64decode(one["traceId"]).hex() == trace_id


@pytest.mark.parametrize(
    ("authorization", "why"),
    [
        ("", "host is not found"),
        (f"Bearer {OWN.token}", "host is not found"),
        ("Basic !", "host is not found"),
        (basic(token="glc_of-somebody-else"), "invalid authentication credentials"),
        (basic(user="654321"), "invalid authentication credentials"),
        (basic(token=OWN.read_token), "invalid authentication credentials"),
    ],
)
def test_a_wrong_key_is_refused(url: str, trace_id: str, authorization: str, why: str) -> None:
    answer = send(url, "traces", BODIES["traces"](trace_id), authorization)

    assert answer.status_code == 401
    assert why in answer.json()["message"]


def test_the_gateway_is_below_otlp(url: str) -> None:
    headers = {"Authorization": basic()}
    answer = requests.post(f"{url}/v1/traces", json={}, headers=headers, timeout=SECONDS)

    assert answer.status_code == 404


def test_differences_are_not_taken(url: str, trace_id: str) -> None:
    body = gauge("shop", trace_id, "orders")
    metric = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]
    points = metric.pop("gauge")["dataPoints"]
    metric["sum"] = {"dataPoints": points, "isMonotonic": True, "aggregationTemporality": 1}

    answer = send(url, "metrics", body, basic())

    assert answer.json()["partialSuccess"]["rejectedDataPoints"] == "1"


def test_a_metric_has_a_name_and_labels_as_prometheus_knows_them(url: str, trace_id: str) -> None:
    send(url, "metrics", BODIES["metrics"](trace_id), basic())

    found = query(url, "grafanacloud-prom/api/v1/query", query=f'{{trace_id="{trace_id}"}}').json()

    [point] = found["data"]["result"]
    assert point["metric"]["__name__"] == "orders_open"
    assert point["metric"]["trace_id"] == trace_id


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("grafanacloud-prom/api/v1/query", "sum(up)"),
        ("grafanacloud-logs/loki/api/v1/query_range", '{service_name="shop"}'),
        ("grafanacloud-prom/api/v1/query", ""),
    ],
)
def test_a_query_that_is_not_read_is_an_error(url: str, path: str, asked: str) -> None:
    assert query(url, path, query=asked).status_code == 400


def test_a_token_that_writes_does_not_read(url: str, trace_id: str) -> None:
    with pytest.raises(UnreachableError, match="401: Unauthorized"):
        reader(url, OWN.token)("logs", trace_id)


def test_nobody_who_may_not_read_learns_what_is_there(url: str, trace_id: str) -> None:
    send(url, "traces", BODIES["traces"](trace_id), basic())

    answers = [
        query(url, f"grafanacloud-traces/api/traces/{one}", token="x")
        for one in (trace_id, NOBODYS)
    ]

    assert [answer.status_code for answer in answers] == [401, 401]


@pytest.mark.parametrize("mode", ["429", "503", "partial"])
def test_it_fails_when_told_to(emulators: Client, url: str, trace_id: str, mode: Any) -> None:
    emulators.break_("grafana-cloud", mode)

    answer = send(url, "traces", BODIES["traces"](trace_id), basic())

    assert answer.status_code == (200 if mode == "partial" else int(mode))
    assert emulators.holds("grafana-cloud", trace_id) == {}
