"""OTLP requests for the tests here."""

from __future__ import annotations

import secrets
import time

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.trace.v1.trace_pb2 import Span


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def traces(trace_id: str, count: int = 1, service: str = "backend-flask") -> bytes:
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    of_resource.resource.attributes.append(text("service.name", service))
    scope = of_resource.scope_spans.add()
    scope.scope.name = "test"
    now = time.time_ns()
    for number in range(count):
        span = scope.spans.add()
        span.trace_id = bytes.fromhex(trace_id)
        span.span_id = secrets.token_bytes(8)
        span.name = f"span {number}"
        span.kind = Span.SPAN_KIND_SERVER
        span.start_time_unix_nano = now - 5_000_000
        span.end_time_unix_nano = now
        span.attributes.append(text("http.route", "/api/activities/home"))
    return request.SerializeToString()


def logs(trace_id: str) -> bytes:
    request = ExportLogsServiceRequest()
    of_resource = request.resource_logs.add()
    of_resource.resource.attributes.append(text("service.name", "backend-flask"))
    record = of_resource.scope_logs.add().log_records.add()
    record.trace_id = bytes.fromhex(trace_id)
    record.span_id = secrets.token_bytes(8)
    record.severity_text = "ERROR"
    record.body.string_value = "it broke"
    record.time_unix_nano = time.time_ns()
    return request.SerializeToString()


def metrics(trace_id: str, *, delta: bool = False) -> bytes:
    request = ExportMetricsServiceRequest()
    of_resource = request.resource_metrics.add()
    of_resource.resource.attributes.append(text("service.name", "backend-flask"))
    metric = of_resource.scope_metrics.add().metrics.add()
    metric.name = "app.requests"
    metric.sum.is_monotonic = True
    metric.sum.aggregation_temporality = (
        AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
        if delta
        else AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    )
    point = metric.sum.data_points.add()
    point.as_int = 7
    # Without a start the collector takes a first cumulative value for an old one, and drops it.
    point.start_time_unix_nano = time.time_ns() - 1_000_000
    point.time_unix_nano = time.time_ns()
    point.attributes.append(text("verify.trace_id", trace_id))
    return request.SerializeToString()
