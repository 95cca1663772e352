"""The file exporter's output, read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stack.telemetry import (
    Event,
    Lost,
    Recorded,
    lost_by_service,
    lost_lately,
    read_logs,
    read_points,
    read_spans,
    recorded_by_service,
    size,
)

TRACE, OTHER = "0af7651916cd43dd8448eb211c80319c", "1af7651916cd43dd8448eb211c80319c"


def attribute(key: str, kind: str, value: Any) -> dict[str, Any]:
    return {"key": key, "value": {kind: value}}


def traces(*spans: dict[str, Any]) -> dict[str, Any]:
    resource = {"attributes": [attribute("service.name", "stringValue", "backend-flask")]}
    scope = {"scope": {"name": "home.activities"}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}


def span(trace_id: str = TRACE, **more: Any) -> dict[str, Any]:
    times = {"startTimeUnixNano": "10", "endTimeUnixNano": "30"}
    return {"traceId": trace_id, "spanId": "b7ad6b7169203331", "name": "GET", **times, **more}


def write(file: Path, *exports: dict[str, Any]) -> Path:
    file.write_text("".join(json.dumps(export) + "\n" for export in exports))
    return file


def test_a_span_comes_back_with_everything_that_it_had(tmp_path: Path) -> None:
    # given
    file = write(
        tmp_path / "traces.jsonl",
        traces(
            span(
                parentSpanId="00f067aa0ba902b7",
                kind=2,
                status={"code": 2, "message": "boom"},
                attributes=[
                    attribute("http.route", "stringValue", "/api"),
                    attribute("http.response.status_code", "intValue", "500"),
                    attribute("ratio", "doubleValue", 0.5),
                    attribute("flag", "boolValue", False),
                    attribute(
                        "list", "arrayValue", {"values": [{"intValue": "1"}, {"stringValue": "a"}]}
                    ),
                    attribute("map", "kvlistValue", {"values": [attribute("k", "intValue", "2")]}),
                    {"key": "nothing"},
                ],
                events=[
                    {
                        "name": "exception",
                        "attributes": [attribute("exception.type", "stringValue", "ValueError")],
                    }
                ],
            )
        ),
    )
    # when
    [found] = read_spans(file)
    # then
    assert (found.trace_id, found.parent_id) == (TRACE, "00f067aa0ba902b7")
    assert (found.kind, found.status, found.scope) == ("SERVER", "ERROR", "home.activities")
    assert (found.start, found.end, found.service) == (10, 30, "backend-flask")
    assert found.attributes == {
        "http.route": "/api",
        "http.response.status_code": 500,
        "ratio": 0.5,
        "flag": False,
        "list": [1, "a"],
        "map": {"k": 2},
        "nothing": None,
    }
    assert found.events == (Event("exception", {"exception.type": "ValueError"}),)


def test_what_a_span_leaves_out_has_the_protocols_default(tmp_path: Path) -> None:
    # given
    [found] = read_spans(write(tmp_path / "traces.jsonl", traces(span())))
    # then
    assert (found.parent_id, found.kind, found.status) == ("", "UNSPECIFIED", "UNSET")
    assert found.events == ()


def test_one_trace_out_of_many(tmp_path: Path) -> None:
    # given a line that holds both, and one that mentions the id without being of the trace
    mention = span(OTHER, attributes=[attribute("seen", "stringValue", TRACE)])
    file = write(tmp_path / "traces.jsonl", traces(span(OTHER), span()), traces(mention))
    # then
    assert [found.trace_id for found in read_spans(file, TRACE)] == [TRACE]


def test_reading_from_an_offset_sees_only_what_came_later(tmp_path: Path) -> None:
    # given
    file = write(tmp_path / "traces.jsonl", traces(span()))
    offset = size(file)
    with file.open("a") as stream:
        stream.write(json.dumps(traces(span(OTHER))) + "\n")
    # then
    assert [found.trace_id for found in read_spans(file, offset=offset)] == [OTHER]


def test_a_line_that_is_still_being_written_is_left_for_later(tmp_path: Path) -> None:
    # given
    file = write(tmp_path / "traces.jsonl", traces(span()))
    with file.open("a") as stream:
        stream.write(json.dumps(traces(span(OTHER)))[:50])
    # then
    assert len(read_spans(file)) == 1


def test_a_file_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    # given
    file = tmp_path / "none.jsonl"
    # then
    assert (read_spans(file), read_points(file), read_logs(file), size(file)) == ([], [], [], 0)


def test_points_of_each_kind_of_metric(tmp_path: Path) -> None:
    # given
    route = [attribute("http.route", "stringValue", "/api")]
    metrics = [
        {"name": "a", "unit": "1", "sum": {"dataPoints": [{"asInt": "7", "attributes": route}]}},
        {"name": "b", "gauge": {"dataPoints": [{"asDouble": 1.5}]}},
        {"name": "c", "unit": "s", "histogram": {"dataPoints": [{"count": "3", "sum": 0.2}]}},
    ]
    scopes = [{"scope": {"name": "flask"}, "metrics": metrics}]
    file = write(tmp_path / "metrics.jsonl", {"resourceMetrics": [{"scopeMetrics": scopes}]})
    # when
    found = read_points(file)
    # then
    assert [(point.metric, point.unit, point.value) for point in found] == [
        ("a", "1", 7),
        ("b", "", 1.5),
        ("c", "s", 3),
    ]
    assert found[0].attributes == {"http.route": "/api"}
    assert found[0].scope == "flask"


def test_logs_of_one_trace(tmp_path: Path) -> None:
    # given
    records = [
        {
            "traceId": TRACE,
            "spanId": "b7ad6b7169203331",
            "severityText": "INFO",
            "body": {"stringValue": "hello"},
            "attributes": [attribute("url.path", "stringValue", "/")],
        },
        {"body": {"stringValue": "outside of any trace"}},
    ]
    scopes = [{"scope": {"name": "cruddur.access"}, "logRecords": records}]
    file = write(tmp_path / "logs.jsonl", {"resourceLogs": [{"scopeLogs": scopes}]})
    # when
    [found] = read_logs(file, TRACE)
    # then
    assert (found.body, found.severity, found.span_id) == ("hello", "INFO", "b7ad6b7169203331")
    assert (found.scope, found.attributes) == ("cruddur.access", {"url.path": "/"})
    assert len(read_logs(file)) == 2


def test_what_each_service_sent_is_counted_with_the_time_of_the_last(tmp_path: Path) -> None:
    # given two services, one of them in two exports, and a line that is not whole yet
    other = traces(span(endTimeUnixNano="5000000000"))
    other["resourceSpans"][0]["resource"]["attributes"] = [
        attribute("service.name", "stringValue", "frontend-react")
    ]
    file = write(
        tmp_path / "traces.jsonl",
        traces(span(endTimeUnixNano="3000000000"), span(endTimeUnixNano="2000000000")),
        other,
        traces(span(endTimeUnixNano="1000000000")),
    )
    with file.open("a") as stream:
        stream.write('{"resourceSpans": [')
    # and one that sends no spans
    resource = {"attributes": [attribute("service.name", "stringValue", "batch")]}
    points = [{"timeUnixNano": "6000000000"}, {"timeUnixNano": "7000000000"}]
    metrics = [{"metrics": [{"name": "jobs", "sum": {"dataPoints": points}}]}]
    exported = {"resourceMetrics": [{"resource": resource, "scopeMetrics": metrics}]}
    write(tmp_path / "metrics.jsonl", exported)
    logs = [{"logRecords": [{"timeUnixNano": "8000000000"}]}]
    write(tmp_path / "logs.jsonl", {"resourceLogs": [{"resource": resource, "scopeLogs": logs}]})
    # then
    assert recorded_by_service(tmp_path) == [
        Recorded("backend-flask", 3, 0, 0, 3.0),
        Recorded("batch", 0, 2, 1, 8.0),
        Recorded("frontend-react", 1, 0, 0, 5.0),
    ]
    assert recorded_by_service(tmp_path / "none") == []


def lost(process: str, reason: str, total: int, second: int = 0) -> dict[str, Any]:
    point = {
        "asInt": str(total),
        "timeUnixNano": str(second * 10**9),
        "attributes": [
            attribute("signal", "stringValue", "traces"),
            attribute("reason", "stringValue", reason),
        ],
    }
    resource = {
        "attributes": [
            attribute("service.name", "stringValue", "backend-flask"),
            attribute("service.instance.id", "stringValue", process),
        ]
    }
    metric = {"name": "telemetry.lost", "sum": {"dataPoints": [point]}}
    return {
        "resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}],
    }


def test_what_a_service_lost_is_its_processes_last_totals(tmp_path: Path) -> None:
    # given two workers, each export with the total since its start
    file = write(
        tmp_path / "metrics.jsonl",
        lost("a", "queue_full", 5, second=1),
        lost("b", "queue_full", 100, second=2),
        lost("a", "queue_full", 7, second=3),
        lost("a", "refused", 1, second=4),
        # which it repeats as long as it lives
        lost("a", "queue_full", 7, second=5),
        lost("a", "refused", 1, second=6),
        {"resourceMetrics": []},
    )
    # then each is dated by its last growth
    assert lost_by_service(file) == [
        Lost("backend-flask", "traces", "queue_full", 107, 3.0),
        Lost("backend-flask", "traces", "refused", 1, 4.0),
    ]
    assert lost_by_service(tmp_path / "none.jsonl") == []


def test_what_was_lost_a_day_ago_is_history(tmp_path: Path) -> None:
    hour = 3600
    file = write(
        tmp_path / "metrics.jsonl",
        lost("a", "away", 5, second=hour),
        lost("a", "refused", 1, second=2 * hour),
        lost("a", "away", 5, second=25 * hour),
    )

    assert [one.reason for one in lost_lately(file, now=25 * hour)] == ["away", "refused"]
    assert [one.reason for one in lost_lately(file, now=25.5 * hour)] == ["refused"]
    assert lost_lately(file, now=27 * hour) == []
