"""Upstream's three exporters around a transport that waits."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk._shared_internal import DuplicateFilter
from opentelemetry.sdk.metrics.export import (
    Metric,
    MetricExportResult,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otel_stack_distro.otlp_retry import encodable
from otel_stack_distro.otlp_retry.ending import of_this_process
from otel_stack_distro.otlp_retry.losses import Losses
from otel_stack_distro.otlp_retry.transport import RetryingTransport

# Not sent through the exporter that it is about: json_logging keeps this name on the console.
_logger = logging.getLogger("opentelemetry.otlp_retry")

# Upstream writes a line for each batch that fails, twice a second; for logs it has this filter too.
for _module in ("trace_exporter", "metric_exporter"):
    logging.getLogger(f"opentelemetry.exporter.otlp.proto.http.{_module}").addFilter(
        DuplicateFilter()
    )


class RetryingSpanExporter(OTLPSpanExporter):
    """Reads the variables that OTLPSpanExporter reads."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = _wait(self._client)
        self._losses = Losses("traces")
        self._losses.count_full_queue()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        def send(some: Sequence[ReadableSpan]) -> bool:
            sound = [encodable.span(one) for one in some]
            return super(RetryingSpanExporter, self).export(sound) is SpanExportResult.SUCCESS

        ended = self._shutdown or of_this_process.hopeless
        if _delivered(spans, send, self._waiting, self._losses, ended=ended):
            return SpanExportResult.SUCCESS
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        super().shutdown()  # type: ignore[no-untyped-call]
        self._losses.say()


class RetryingLogExporter(OTLPLogExporter):
    """Reads the variables that OTLPLogExporter reads."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = _wait(self._client)
        self._losses = Losses("logs")
        self._losses.count_full_queue()

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        def send(some: Sequence[ReadableLogRecord]) -> bool:
            sound = [encodable.log(one) for one in some]
            return super(RetryingLogExporter, self).export(sound) is LogRecordExportResult.SUCCESS

        ended = self._shutdown or of_this_process.hopeless
        if _delivered(batch, send, self._waiting, self._losses, ended=ended):
            return LogRecordExportResult.SUCCESS
        return LogRecordExportResult.FAILURE

    def shutdown(self) -> None:
        super().shutdown()  # type: ignore[no-untyped-call]
        self._losses.say()


class RetryingMetricExporter(OTLPMetricExporter):
    """Reads the variables that OTLPMetricExporter reads.

    A total that comes too late is made good by the next: only what cannot be encoded is counted as
    lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting = _wait(self._client)
        self._losses = Losses("metrics")

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10000, **kwargs: Any
    ) -> MetricExportResult:
        asked = self._waiting.asked
        sound = encodable.metrics(metrics_data)
        result = super().export(sound, timeout_millis, **kwargs)
        if result is MetricExportResult.SUCCESS or self._waiting.asked > asked or self._shutdown:
            return result
        sound = encodable.metrics(metrics_data, keep=self._encodes)
        return super().export(sound, timeout_millis, **kwargs)

    def _encodes(self, metric: Metric) -> bool:
        scope = ScopeMetrics(InstrumentationScope(""), [metric], "")
        try:
            encode_metrics(MetricsData([ResourceMetrics(Resource({}), [scope], "")]))
        except Exception:  # noqa: BLE001 - as upstream does, whose encoders raise anything
            self._losses.add(len(metric.data.data_points), "unencodable")
            return False
        return True


def _delivered(
    batch: Sequence[Any],
    send: Callable[[Sequence[Any]], bool],
    waiting: RetryingTransport,
    losses: Losses,
    *,
    ended: bool,
) -> bool:
    """Whether all of `batch` arrived; what did not is counted.

    Upstream encodes a batch as a whole. Where no request was made of it, because an item cannot be
    encoded or all are more than a request may hold, each half is tried by itself.
    """
    if ended:
        # Encoding 16,384 spans for nothing takes a second that the end of the process has not.
        losses.add(len(batch), waiting.reason)
        return False
    asked = waiting.asked
    if _sent(batch, send):
        return True
    if waiting.asked > asked:
        losses.add(len(batch), waiting.reason)
        return False
    if len(batch) == 1:
        losses.add(1, "unencodable")
        return False
    half = len(batch) // 2
    first = _delivered(batch[:half], send, waiting, losses, ended=of_this_process.hopeless)
    second = _delivered(batch[half:], send, waiting, losses, ended=of_this_process.hopeless)
    return first and second


def _sent(batch: Sequence[Any], send: Callable[[Sequence[Any]], bool]) -> bool:
    try:
        return send(batch)
    except Exception:
        # An attribute of the app's own kind, whose methods raise.
        _logger.exception("a batch of %d could not be exported", len(batch))
        return False


def _wait(client: Any) -> RetryingTransport:
    # Upstream's `_transport` argument would leave certificates and credential providers to us.
    waiting = RetryingTransport(client._transport, of_this_process)  # noqa: SLF001
    client._transport = waiting  # noqa: SLF001
    os.register_at_fork(after_in_child=waiting.leave_connections)
    of_this_process.begin_at_exit()
    return waiting
