"""Upstream's three exporters around a transport that waits."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk._shared_internal import DuplicateFilter
from opentelemetry.sdk.trace.export import SpanExportResult

from otlp_waiting.ending import of_this_process
from otlp_waiting.losses import Losses
from otlp_waiting.transport import WaitingTransport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.trace import ReadableSpan

# Upstream writes a line for each batch that fails, twice a second; for logs it has this filter too.
for _module in ("trace_exporter", "metric_exporter"):
    logging.getLogger(f"opentelemetry.exporter.otlp.proto.http.{_module}").addFilter(
        DuplicateFilter()
    )


class WaitingSpanExporter(OTLPSpanExporter):
    """Reads the variables that OTLPSpanExporter reads."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = _wait(self._client)
        self._losses = Losses("traces")
        self._losses.count_full_queue()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        # Encoding 16,384 spans for nothing takes a second that the end of the process has not.
        if not of_this_process.hopeless and super().export(spans) is SpanExportResult.SUCCESS:
            return SpanExportResult.SUCCESS
        self._losses.add(len(spans), self._waiting.reason)
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        super().shutdown()  # type: ignore[no-untyped-call]
        self._losses.say()


class WaitingLogExporter(OTLPLogExporter):
    """Reads the variables that OTLPLogExporter reads."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = _wait(self._client)
        self._losses = Losses("logs")
        self._losses.count_full_queue()

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        if not of_this_process.hopeless and super().export(batch) is LogRecordExportResult.SUCCESS:
            return LogRecordExportResult.SUCCESS
        self._losses.add(len(batch), self._waiting.reason)
        return LogRecordExportResult.FAILURE

    def shutdown(self) -> None:
        super().shutdown()  # type: ignore[no-untyped-call]
        self._losses.say()


class WaitingMetricExporter(OTLPMetricExporter):
    """Reads the variables that OTLPMetricExporter reads.

    A total that comes too late is made good by the next: nothing is counted as lost.
    """

    def __init__(self) -> None:
        super().__init__()
        _wait(self._client)


def _wait(client: Any) -> WaitingTransport:
    # Upstream's `_transport` argument would leave certificates and credential providers to us.
    waiting = WaitingTransport(client._transport, of_this_process)  # noqa: SLF001
    client._transport = waiting  # noqa: SLF001
    of_this_process.begin_at_exit()
    return waiting
