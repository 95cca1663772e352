"""What OTLP cannot carry becomes text, and costs none of its neighbours.

The forms of lone surrogates are those of mlflow/mlflow#24123, where one bad span failed its batch;
the names of NaN and the infinities are those of protobuf's JSON, asked of protobuf itself.
"""

from __future__ import annotations

import decimal
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.http.transport._base import BaseHTTPResult
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags
from otel_stack_distro.otlp_retry import (
    RetryingLogExporter,
    RetryingMetricExporter,
    RetryingSpanExporter,
    encodable,
)

from tests.unit.fuzzing import quick

SURROGATE = "caf\udce9.txt"
"""What os.listdir gives for a file's name in Latin-1."""

REPAIRED = "caf\ufffd.txt"


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


texts = st.text(st.characters(exclude_categories=()), max_size=12) | st.sampled_from(
    [SURROGATE, "\ud83e", "\udd14", "a\ud83e", "\ud83e\ud83e b", "\ud83e\udd14", ""]
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.binary(max_size=8)
    | st.decimals()
    | texts
    | st.sampled_from([Unprintable(), object()])
    | st.builds(pow, st.just(10), st.just(5000))
)
names = texts | st.integers() | st.none() | st.tuples(st.integers(), texts) | st.booleans()
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(names, inner, max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=8,
)
attributes = st.dictionaries(texts, values, max_size=4)
times = st.integers(0, 2**63) | st.floats() | st.sampled_from([-1, "now"])


class Collector:
    """Takes what an exporter sends. `status`: of its answers."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.status = 200

    def request(self, *_: Any, data: bytes, **__: Any) -> BaseHTTPResult:
        self.bodies.append(data)
        return Answered(status_code=self.status, reason="")

    def close(self) -> None:
        pass


class Answered(BaseHTTPResult):
    def content(self) -> bytes:
        return b""

    def headers(self) -> dict[str, str]:
        return {}


class Counted:
    """In place of `telemetry.lost`."""

    def __init__(self) -> None:
        self.lost: dict[str, int] = {}

    def add(self, count: int, reason: str) -> None:
        self.lost[reason] = self.lost.get(reason, 0) + count


def wired(exporter: Any) -> tuple[Collector, Counted]:
    collector, losses = Collector(), Counted()
    exporter._waiting._inner = collector
    exporter._losses = losses
    return collector, losses


def a_span(name: Any = "good", **parts: Any) -> ReadableSpan:
    return ReadableSpan(
        name=name,
        context=SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1)),
        **{
            "resource": Resource({}),
            "instrumentation_scope": InstrumentationScope("test"),
            "start_time": 1,
            "end_time": 2,
            **parts,
        },
    )


def a_log(body: Any = "good", **parts: Any) -> ReadableLogRecord:
    scope = parts.pop("scope", InstrumentationScope("test"))
    return ReadableLogRecord(
        LogRecord(timestamp=1, observed_timestamp=1, body=body, **parts), Resource({}), scope
    )


def spans_of(collector: Collector) -> list[Any]:
    return [
        span
        for body in collector.bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def logs_of(collector: Collector) -> list[Any]:
    return [
        record
        for body in collector.bodies
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]


def metrics_of(collector: Collector) -> list[Any]:
    return [
        metric
        for body in collector.bodies
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (SURROGATE, REPAIRED),
        ("\ud83e", "\ufffd"),
        ("a\udd14", "a\ufffd"),
        ("\ud83e\ud83e b", "\ufffd\ufffd b"),
        ("\ud83e\udd14", "\U0001f914"),
    ],
)
def test_a_lone_surrogate_becomes_the_replacement_character(bad: str, text: str) -> None:
    deep = {"k": [bad, {bad: bad}]}

    assert encodable.value(bad) == text
    assert encodable.value(deep) == {"k": [text, {text: text}]}
    assert encodable.value(ValueError(bad)) == text


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_called_as_in_protobufs_json(number: float) -> None:
    called = json_format.MessageToDict(AnyValue(double_value=number))["doubleValue"]

    assert encodable.value(number) == called
    assert encodable.value([1.0, number]) == [1.0, called]


@pytest.mark.parametrize("value", [None, True, 5, -1.5, "x", "é", b"\xff", 2**63 - 1])
def test_what_otlp_has_stays_itself(value: object) -> None:
    assert encodable.value(value) is value


def test_a_sound_item_is_not_copied() -> None:
    span, log = a_span(attributes={"a": 1, "b": "é"}), a_log(attributes={"a": 1.5})

    assert encodable.span(span) is span
    assert encodable.log(log) is log


@pytest.mark.parametrize(
    "bad",
    [
        a_span(f"read {SURROGATE}"),
        a_span(status=Status(StatusCode.ERROR, SURROGATE)),
        a_span(attributes={SURROGATE: SURROGATE}),
        a_span(events=[Event("exception", {"exception.message": SURROGATE}, 1)]),
        a_span(events=[Event(SURROGATE, {}, 1)]),
        a_span(resource=Resource({"service.name": SURROGATE})),
        a_span(instrumentation_scope=InstrumentationScope(SURROGATE, "1", SURROGATE)),
        a_span(7),
    ],
    ids=["name", "status", "attribute", "exception", "event", "resource", "scope", "no text"],
)
def test_a_span_that_protobuf_would_refuse_arrives_with_its_neighbours(bad: ReadableSpan) -> None:
    exporter = RetryingSpanExporter()
    collector, losses = wired(exporter)

    exporter.export([a_span(), bad, a_span()])

    assert len(spans_of(collector)) == 3
    expected = REPAIRED if isinstance(bad.name, str) else "7"
    assert expected.encode() in collector.bodies[0]
    assert losses.lost == {}


def test_made_up_spans_arrive_with_their_neighbours() -> None:
    exporter = RetryingSpanExporter()
    inputs = lost_alone = 0

    @settings(quick, max_examples=200)
    @given(name=texts | leaves, status=texts, held=attributes, in_event=attributes, end=times)
    def send(name: Any, status: str, held: Any, in_event: Any, end: Any) -> None:
        nonlocal inputs, lost_alone
        inputs += 1
        collector, losses = wired(exporter)
        bad = a_span(
            name,
            attributes=held,
            events=[Event(name, in_event, 1)],
            status=Status(StatusCode.ERROR, status),
            end_time=end,
        )

        exporter.export([a_span("before"), bad, a_span("after")])

        arrived = spans_of(collector)
        assert {"before", "after"} <= {span.name for span in arrived}
        # A time that is none cannot be repaired.
        assert len(arrived) + losses.lost.get("unencodable", 0) == 3
        lost_alone += losses.lost.get("unencodable", 0)
        if isinstance(end, int) and end >= 0:
            assert losses.lost == {}
            assert len(arrived[1].attributes) == len({encodable.value(key) for key in held})

    send()
    print(f"{inputs} spans made up, {lost_alone} of them lost alone")
    assert inputs >= 200
    assert lost_alone > 10


def test_made_up_log_records_arrive_with_their_neighbours() -> None:
    exporter = RetryingLogExporter()
    inputs = 0

    @settings(quick, max_examples=200)
    @given(body=values, held=attributes, severity=texts, event=texts | leaves, logger=texts)
    def send(body: Any, held: Any, severity: str, event: Any, logger: str) -> None:
        nonlocal inputs
        inputs += 1
        collector, losses = wired(exporter)
        bad = a_log(
            body,
            attributes=held,
            severity_text=severity,
            event_name=event,
            scope=InstrumentationScope(logger),
        )

        exporter.export([a_log("before"), bad, a_log("after")])

        assert len(logs_of(collector)) == 3
        assert losses.lost == {}

    send()
    print(f"{inputs} log records made up")
    assert inputs >= 200


def test_made_up_metrics_arrive_with_their_neighbours() -> None:
    exporter = RetryingMetricExporter()
    inputs = 0
    # The SDK itself refuses a unit beyond ASCII, ignores NaN and the infinities, and asks for the
    # text of an attribute's value.
    printable = leaves.filter(lambda value: not isinstance(value, Unprintable))
    hashable = st.dictionaries(texts, printable, min_size=1, max_size=3)
    finite = st.floats(allow_nan=False, allow_infinity=False)
    amounts = st.integers(-(2**70), 2**70) | finite | st.just(decimal.Decimal("1.5"))
    ascii_texts = st.text(st.characters(max_codepoint=127), max_size=8)

    @settings(quick, max_examples=200)
    @given(held=hashable, description=texts, unit=ascii_texts, amount=amounts)
    def send(held: Any, description: str, unit: str, amount: Any) -> None:
        nonlocal inputs
        inputs += 1
        collector, losses = wired(exporter)
        data = collected(held, description, unit, amount)

        exporter.export(data)

        arrived = metrics_of(collector)
        assert [metric.name for metric in arrived] == ["before", "bad", "after"]
        [point] = arrived[1].gauge.data_points
        assert {one.key for one in point.attributes} == {
            encodable.value(name) for name in held if name
        }
        assert losses.lost == {}

    send()
    print(f"{inputs} metrics made up")
    assert inputs >= 200


def collected(held: Any, description: str, unit: str, amount: Any) -> MetricsData:
    """Three gauges as the SDK collects them; exemplars as it draws them within a span."""
    reader = InMemoryMetricReader(
        preferred_temporality=RetryingMetricExporter()._preferred_temporality
    )
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("test")
    context = trace.set_span_in_context(
        trace.NonRecordingSpan(SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1)))
    )
    for name in ("before", "bad", "after"):
        bad = name == "bad"
        gauge = meter.create_gauge(
            name, unit=unit if bad else "", description=description if bad else ""
        )
        gauge.set(amount if bad else 1, held if bad else {}, context)
    data = reader.get_metrics_data()
    assert data is not None
    return data


def test_what_cannot_be_encoded_is_lost_alone_and_counted_so() -> None:
    exporter = RetryingSpanExporter()
    collector, losses = wired(exporter)
    batch = [a_span(f"good {number}") for number in range(500)]
    for place in (0, 250, 251, 499):
        batch.insert(place, a_span("bad", start_time=1.5))

    exporter.export(batch)

    assert sorted(span.name for span in spans_of(collector)) == sorted(
        f"good {number}" for number in range(500)
    )
    assert losses.lost == {"unencodable": 4}


def test_a_metric_that_cannot_be_encoded_is_lost_alone_and_counted_so() -> None:
    exporter = RetryingMetricExporter()
    collector, losses = wired(exporter)
    data = collected({}, "", "", 1)
    [resource] = data.resource_metrics
    [scope] = resource.scope_metrics
    point = scope.metrics[1].data.data_points[0]
    object.__setattr__(point, "time_unix_nano", "now")

    exporter.export(data)

    assert [metric.name for metric in metrics_of(collector)] == ["before", "after"]
    assert losses.lost == {"unencodable": 1}


def test_more_than_a_request_may_hold_goes_in_several() -> None:
    exporter = RetryingLogExporter()
    exporter._max_request_size = 10_000
    collector, losses = wired(exporter)

    exporter.export([*[a_log("x" * 4_000) for _ in range(9)], a_log("x" * 20_000)])

    assert len(logs_of(collector)) == 9
    assert losses.lost == {"unencodable": 1}


def test_what_the_collector_refuses_is_not_called_unencodable() -> None:
    exporter = RetryingSpanExporter()
    collector, losses = wired(exporter)
    collector.status = 400

    exporter.export([a_span(), a_span(SURROGATE)])

    assert len(collector.bodies) == 1
    assert losses.lost == {"refused": 2}
