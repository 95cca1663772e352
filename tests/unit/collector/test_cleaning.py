"""What leaves the collector holds no secret, and everything else that came in."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from stack.collector_config.text import CONFIG_FILE, load
from stack.settings import ROOT
from tests.corpus import HIDDEN_NAMES, KEPT, MASKED, SHOWN_NAMES
from tests.unit.collector.running import Collector, attributes, plain, spans, trace

pytestmark = pytest.mark.collector

TIME = "1700000000000000000"


def logs(bodies: Iterable[dict[str, Any]]) -> dict[str, Any]:
    records = [{"timeUnixNano": TIME, "body": body} for body in bodies]
    return {"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": records}]}]}


def bodies(written: str) -> list[Any]:
    return [
        next(iter(record["body"].values()))
        for line in written.splitlines()
        for resource in json.loads(line)["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    ]


def test_the_corpus_leaves_as_it_is_written_down(collector: Collector) -> None:
    wanted = [*MASKED, *((text, text) for text in KEPT if text)]
    collector.post("logs", logs({"stringValue": text} for text, _ in wanted))

    left = bodies(collector.wait_for_file("logs", "timeUnixNano"))

    assert dict(zip((text for text, _ in wanted), left, strict=True)) == dict(wanted)


def test_what_is_secret_by_its_name_is_masked_whatever_it_holds_and_however_deep(
    collector: Collector,
) -> None:
    values = {name: ["plain", "s3cret"] for name in (*HIDDEN_NAMES, *SHOWN_NAMES)}
    nested = {"kvlistValue": {"values": attributes(values)}}
    span = trace("GET /", values)
    collector.post("traces", span)
    collector.post("logs", logs([nested]))

    kept = plain(spans(collector.wait_for_file("traces", "GET /"))["GET /"]["attributes"])
    [body] = bodies(collector.wait_for_file("logs", "timeUnixNano"))

    for found in (kept, plain(body["values"])):
        assert {name for name, value in found.items() if value == "****"} == set(HIDDEN_NAMES)
        assert set(found) == set(values)


def test_a_secret_is_found_in_every_place_of_a_span(collector: Collector) -> None:
    said = 'KeyError: {"password": "s3cret pass", "user": "bob"}'
    held = attributes({"app.note": said, "app.list": [said]})
    span = trace("boom", status={"code": 2, "message": said}, traceState=f"a={said}")
    [resource] = span["resourceSpans"]
    resource["resource"] = {"attributes": held}
    [scope] = resource["scopeSpans"]
    scope["scope"] = {"name": said, "attributes": held}
    [whole] = scope["spans"]
    whole["attributes"] = held
    whole["events"] = [{"name": said, "timeUnixNano": TIME, "attributes": held}]
    link = {"traceId": "0" * 31 + "1", "spanId": "0" * 15 + "1", "attributes": held}
    whole["links"] = [{**link, "traceState": f"a={said}"}]
    collector.post("traces", span)

    written = collector.wait_for_file("traces", "boom")

    assert "s3cret" not in written
    assert written.count('\\"password\\": \\"****\\", \\"user\\": \\"bob\\"') == 15


def test_a_metric_and_its_exemplars_are_cleaned(collector: Collector) -> None:
    held = attributes({"url.full": "http://h/?token=s3cret"})
    exemplar = {"timeUnixNano": TIME, "asInt": "1", "filteredAttributes": held}
    point = {"asInt": "1", "timeUnixNano": TIME, "attributes": held, "exemplars": [exemplar]}
    metric = {"name": "calls", "description": "token=s3cret", "gauge": {"dataPoints": [point]}}
    collector.post(
        "metrics", {"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"metrics": [metric]}]}]}
    )

    written = collector.wait_for_file("metrics", "calls")

    assert "s3cret" not in written
    assert written.count("http://h/?token=****") == 2


def test_whatever_the_app_sends_is_cleaned_before_anything_else_has_it() -> None:
    pipelines = load(ROOT / CONFIG_FILE)["service"]["pipelines"]

    of_the_app = {name: one for name, one in pipelines.items() if "otlp" in one["receivers"]}

    assert of_the_app.keys() == {"traces", "metrics", "logs"}
    for one in of_the_app.values():
        assert one["processors"][-1] == "redaction"
        assert one["exporters"] == ["forward/clean"]
    others = {end for name in pipelines.keys() - of_the_app for end in pipelines[name]["receivers"]}
    assert others == {"forward/clean"}


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("127.0.0.1:4567", "127.0.0.1", 4567),
        ("[::1]:4567", "[::1]", 4567),
        ("cruddur.example", "cruddur.example", 8000),
    ],
)
def test_the_port_of_server_address_is_server_port(
    collector: Collector, address: str, host: str, port: int
) -> None:
    """Else X-Ray's exporter makes http://127.0.0.1:4567:8000/ of it."""
    collector.post("traces", trace("GET /", {"server.address": address, "server.port": 8000}))

    written = collector.wait_for_file("traces", "GET /")

    attributes = plain(spans(written)["GET /"]["attributes"])
    assert attributes["server.address"] == host
    assert int(attributes["server.port"]) == port


@pytest.mark.parametrize(
    ("kind", "values", "name"),
    [
        (2, {"http.request.method": "GET", "url.path": "/wp-admin/7"}, "GET"),
        (2, {"http.request.method": "GET", "http.route": "/wp-admin/<n>"}, "GET /wp-admin/7"),
        (2, {"rpc.system": "grpc"}, "GET /wp-admin/7"),
        (3, {"http.request.method": "GET"}, "GET /wp-admin/7"),
    ],
    ids=["no route", "a route", "no HTTP", "a client"],
)
def test_a_path_without_a_route_is_no_name_of_a_span(
    collector: Collector, kind: int, values: dict[str, Any], name: str
) -> None:
    collector.post("traces", trace("GET /wp-admin/7", {**values, "app.found": "it"}, kind=kind))

    assert set(spans(collector.wait_for_file("traces", "app.found"))) == {name}
