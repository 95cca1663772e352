"""OTLP over HTTP that waits for its collector: OTEL_TRACES_EXPORTER=otlp_retry, likewise LOGS and
METRICS.

Upstream's exporter gives a batch six tries, the last at about 31 s whatever its timeout is. This
one tries a batch for as long as OTEL_EXPORTER_OTLP_TIMEOUT says, which is what the specification
means by it, while the rest waits in the SDK's queue; OTEL_BSP_MAX_QUEUE_SIZE bounds its memory.
Encoding, headers, TLS and compression are upstream's own (docs/decisions/0016).

The service itself imports nothing of this.
"""

from otel_stack_distro.otlp_retry.exporters import (
    RetryingLogExporter,
    RetryingMetricExporter,
    RetryingSpanExporter,
)

__all__ = ["RetryingLogExporter", "RetryingMetricExporter", "RetryingSpanExporter"]
