"""OTLP, decoded and checked: what was sent, by trace id, and the answer the protocol asks for."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Literal

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from emulators.core import strict_json
from emulators.core.bodies import BodyError
from emulators.core.store import Item, Json

Signal = Literal["traces", "metrics", "logs"]
SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")
Encoding = Literal["protobuf", "json"]
Temporality = Literal["delta", "cumulative"]
Request = ExportTraceServiceRequest | ExportMetricsServiceRequest | ExportLogsServiceRequest
Point = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint | SummaryDataPoint

_REQUESTS: dict[Signal, type[Request]] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
CONTENT_TYPES: dict[Encoding, str] = {
    "protobuf": "application/x-protobuf",
    "json": "application/json",
}
_HEX_IDS = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})
_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8


def encoding_of(content_type: str) -> Encoding:
    """The encoding a Content-Type stands for. Raises BodyError(415) for any other."""
    media = content_type.partition(";")[0].strip().lower()
    match media:
        case "application/x-protobuf" | "application/protobuf":
            return "protobuf"
        case "application/json":
            return "json"
        case _:
            raise BodyError(
                415,
                f"unsupported content type {media!r}; send application/x-protobuf or "
                "application/json",
            )


def decode(signal: Signal, encoding: Encoding, body: bytes) -> Request:
    """The export request in `body`. Raises BodyError(400) when it is not one."""
    message = _REQUESTS[signal]()
    try:
        if encoding == "protobuf":
            message.ParseFromString(body)
        else:
            tree = strict_json.loads(body)
            if not isinstance(tree, dict):
                raise ValueError("the body is not a JSON object")  # noqa: TRY301
            _ids_from_hex(tree)
            json_format.ParseDict(tree, message, ignore_unknown_fields=True)
    # protobuf's own lookup of a field that is called half a character is a SystemError (7.36).
    except (DecodeError, json_format.ParseError, ValueError, SystemError) as error:
        raise BodyError(400, f"invalid OTLP {signal} request: {error}") from None
    return message


def take(
    message: Request,
    temporality: Temporality | None = None,
) -> tuple[list[Item], list[str]]:
    """What `message` holds as items, and why each of the others is rejected.

    A span needs a trace id of 16 bytes and a span id of 8, neither all zero. With `temporality`,
    monotonic sums and histograms of the other kind are rejected.
    """
    if isinstance(message, ExportTraceServiceRequest):
        found = _spans(message)
    elif isinstance(message, ExportLogsServiceRequest):
        found = _log_records(message)
    else:
        found = _data_points(message, temporality)
    items: list[Item] = []
    rejected: list[str] = []
    for one in found:
        if isinstance(one, Item):
            items.append(one)
        else:
            rejected.append(one)
    return items, rejected


def answer(signal: Signal, encoding: Encoding, rejected: int = 0, why: str = "") -> bytes:
    """The body of a 200: empty partial success when nothing was rejected."""
    message = answer_message(signal, rejected, why)
    if encoding == "protobuf":
        return message.SerializeToString()
    return json_format.MessageToJson(message, indent=None).encode()


def answer_message(signal: Signal, rejected: int = 0, why: str = "") -> Message:
    """The response message, with a partial success when something was rejected."""
    if signal == "traces":
        traces = ExportTraceServiceResponse()
        if rejected:
            traces.partial_success.rejected_spans = rejected
            traces.partial_success.error_message = why
        return traces
    if signal == "metrics":
        metrics = ExportMetricsServiceResponse()
        if rejected:
            metrics.partial_success.rejected_data_points = rejected
            metrics.partial_success.error_message = why
        return metrics
    logs = ExportLogsServiceResponse()
    if rejected:
        logs.partial_success.rejected_log_records = rejected
        logs.partial_success.error_message = why
    return logs


def error_body(encoding: Encoding, code: int, message: str) -> bytes:
    """A google.rpc.Status, which is what OTLP/HTTP clients look for in an error's body."""
    # A header's bytes can be no text at all, which protobuf does not take.
    status = Status(code=code, message=message.encode(errors="replace").decode())
    if encoding == "protobuf":
        return bytes(status.SerializeToString())
    return json_format.MessageToJson(status, indent=None).encode()


def attributes(pairs: Iterable[KeyValue]) -> Json:
    """Attributes as plain JSON values."""
    return {pair.key: value(pair.value) for pair in pairs}


def value(any_value: AnyValue) -> Any:
    """An attribute value as a plain JSON value; bytes become base64."""
    match any_value.WhichOneof("value"):
        case "array_value":
            return [value(one) for one in any_value.array_value.values]
        case "kvlist_value":
            return attributes(any_value.kvlist_value.values)
        case "bytes_value":
            return base64.b64encode(any_value.bytes_value).decode()
        case None:
            return None
        case kind:
            return getattr(any_value, kind)


def trace_ids_in(pairs: Iterable[KeyValue]) -> Iterator[str]:
    """Trace ids that attributes carry: a metric has no other way to belong to a trace."""
    for pair in pairs:
        if "trace_id" in pair.key:
            text = pair.value.string_value.lower()
            if len(text) == 2 * _TRACE_ID_BYTES and set(text) <= set("0123456789abcdef"):
                yield text


def service_of(resource: Json) -> str:
    """The resource's service.name, or what OpenTelemetry puts where there is none."""
    return str(resource.get("service.name") or "unknown_service")


def _spans(message: ExportTraceServiceRequest) -> Iterator[Item | str]:
    for of_resource in message.resource_spans:
        resource = attributes(of_resource.resource.attributes)
        service = service_of(resource)
        for of_scope in of_resource.scope_spans:
            scope = {"name": of_scope.scope.name, "version": of_scope.scope.version}
            for span in of_scope.spans:
                if len(span.trace_id) != _TRACE_ID_BYTES or not any(span.trace_id):
                    yield f"span {span.name!r}: invalid trace id"
                    continue
                if len(span.span_id) != _SPAN_ID_BYTES or not any(span.span_id):
                    yield f"span {span.name!r}: invalid span id"
                    continue
                # A retained message keeps the whole request alive; its bytes do not.
                raw = span.SerializeToString()
                trace_id = span.trace_id.hex()
                yield Item(
                    "traces",
                    f"{trace_id}:{span.span_id.hex()}",
                    len(raw),
                    partial(_render_span, resource, scope, raw),
                    (trace_id,),
                    service,
                )


def _render_span(resource: Json, scope: Json, raw: bytes) -> Json:
    span = Span.FromString(raw)
    return {
        "resource": resource,
        "scope": scope,
        "name": span.name,
        "kind": Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex(),
        "start_time_unix_nano": span.start_time_unix_nano,
        "end_time_unix_nano": span.end_time_unix_nano,
        "status": {"code": span.status.code, "message": span.status.message},
        "attributes": attributes(span.attributes),
        "events": [
            {
                "name": event.name,
                "time_unix_nano": event.time_unix_nano,
                "attributes": attributes(event.attributes),
            }
            for event in span.events
        ],
        "links": [
            {
                "trace_id": link.trace_id.hex(),
                "span_id": link.span_id.hex(),
                "attributes": attributes(link.attributes),
            }
            for link in span.links
        ],
    }


def _log_records(message: ExportLogsServiceRequest) -> Iterator[Item]:
    for of_resource in message.resource_logs:
        resource = attributes(of_resource.resource.attributes)
        service = service_of(resource)
        for of_scope in of_resource.scope_logs:
            scope = {"name": of_scope.scope.name, "version": of_scope.scope.version}
            for record in of_scope.log_records:
                raw = record.SerializeToString()
                trace_ids = [record.trace_id.hex()] if any(record.trace_id) else []
                trace_ids += trace_ids_in(record.attributes)
                yield Item(
                    "logs",
                    f"{record.trace_id.hex()}:{record.span_id.hex()}:{record.time_unix_nano}",
                    len(raw),
                    partial(_render_log_record, resource, scope, raw),
                    tuple(dict.fromkeys(trace_ids)),
                    service,
                )


def _render_log_record(resource: Json, scope: Json, raw: bytes) -> Json:
    record = LogRecord.FromString(raw)
    return {
        "resource": resource,
        "scope": scope,
        "time_unix_nano": record.time_unix_nano,
        "observed_time_unix_nano": record.observed_time_unix_nano,
        "severity_text": record.severity_text,
        "severity_number": record.severity_number,
        "event_name": record.event_name,
        "body": value(record.body),
        "trace_id": record.trace_id.hex(),
        "span_id": record.span_id.hex(),
        "attributes": attributes(record.attributes),
    }


def _data_points(
    message: ExportMetricsServiceRequest,
    temporality: Temporality | None,
) -> Iterator[Item | str]:
    for of_resource in message.resource_metrics:
        resource = attributes(of_resource.resource.attributes)
        service = service_of(resource)
        in_resource = set(trace_ids_in(of_resource.resource.attributes))
        for of_scope in of_resource.scope_metrics:
            scope = {"name": of_scope.scope.name, "version": of_scope.scope.version}
            for metric in of_scope.metrics:
                sent, points = _points(metric)
                if temporality and sent and sent != temporality:
                    why = f"metric {metric.name!r}: {sent} temporality, {temporality} wanted"
                    yield from (why for _ in points)
                    continue
                shape: Json = {
                    "resource": resource,
                    "scope": scope,
                    "name": metric.name,
                    "unit": metric.unit,
                    "type": metric.WhichOneof("data"),
                    "temporality": sent,
                }
                for point in points:
                    raw = point.SerializeToString()
                    trace_ids = in_resource.union(trace_ids_in(point.attributes))
                    if not isinstance(point, SummaryDataPoint):
                        trace_ids.update(
                            exemplar.trace_id.hex()
                            for exemplar in point.exemplars
                            if any(exemplar.trace_id)
                        )
                    yield Item(
                        "metrics",
                        f"{metric.name}:{point.time_unix_nano}",
                        len(raw),
                        partial(_render_point, shape, type(point), raw),
                        tuple(sorted(trace_ids)),
                        service,
                        value=_total(point),
                    )


def _total(point: Point) -> float:
    if not isinstance(point, NumberDataPoint):
        return point.sum
    return float(getattr(point, point.WhichOneof("value") or "as_double"))


def _points(metric: Metric) -> tuple[Temporality | None, list[Point]]:
    """A metric's points, and the temporality where that makes a difference to vendors."""
    match metric.WhichOneof("data"):
        case "gauge":
            return None, list(metric.gauge.data_points)
        case "sum":
            # Up-down counters stay cumulative under a delta preference.
            kind = metric.sum.aggregation_temporality if metric.sum.is_monotonic else 0
            return _temporality(kind), list(metric.sum.data_points)
        case "histogram":
            kind = metric.histogram.aggregation_temporality
            return _temporality(kind), list(metric.histogram.data_points)
        case "exponential_histogram":
            kind = metric.exponential_histogram.aggregation_temporality
            return _temporality(kind), list(metric.exponential_histogram.data_points)
        case "summary":
            return None, list(metric.summary.data_points)
        case _:
            return None, []


def _temporality(kind: int) -> Temporality | None:
    if kind == AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA:
        return "delta"
    if kind == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE:
        return "cumulative"
    return None


def _render_point(shape: Json, kind: type[Point], raw: bytes) -> Json:
    point = kind.FromString(raw)
    rendered: Json = {
        **shape,
        "attributes": attributes(point.attributes),
        "start_time_unix_nano": point.start_time_unix_nano,
        "time_unix_nano": point.time_unix_nano,
    }
    if isinstance(point, NumberDataPoint):
        which = point.WhichOneof("value")
        rendered["value"] = getattr(point, which) if which else None
    else:
        rendered |= {"count": point.count, "sum": point.sum}
    if isinstance(point, HistogramDataPoint):
        rendered |= {
            "bounds": list(point.explicit_bounds),
            "bucket_counts": list(point.bucket_counts),
        }
    return rendered


def _ids_from_hex(tree: Any) -> None:
    """OTLP/JSON writes ids in hex where protobuf's JSON form has base64."""
    if isinstance(tree, list):
        for one in tree:
            _ids_from_hex(one)
    elif isinstance(tree, dict):
        for key, child in tree.items():
            # Half a character, which JSON can escape, ends protobuf's look-up in a SystemError.
            key.encode()
            if key in _HEX_IDS and isinstance(child, str):
                try:
                    tree[key] = base64.b64encode(binascii.unhexlify(child)).decode()
                except binascii.Error:
                    raise ValueError(f"{key} {child!r} is not hexadecimal") from None
            else:
                _ids_from_hex(child)
