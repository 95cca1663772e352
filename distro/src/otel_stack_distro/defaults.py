"""What a service that sets nothing gets. README.md has each with its reason and measurement."""

from __future__ import annotations

from collections.abc import Mapping

NAME = "otel_stack"
EXPORTER = "otlp_retry"

HEALTH_CHECKS = r"/(?:health|healthz|health-check|healthcheck|livez|readyz)/?(?:\?|$)"
ROLLBARS_ITEMS = "/api/1/item/"

_FIXED = {
    "OTEL_PYTHON_CONFIGURATOR": NAME,
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
    "OTEL_BSP_SCHEDULE_DELAY": "500",
    "OTEL_BLRP_SCHEDULE_DELAY": "500",
    "OTEL_BSP_MAX_QUEUE_SIZE": "16384",
    "OTEL_BLRP_MAX_QUEUE_SIZE": "16384",
    "OTEL_METRIC_EXPORT_INTERVAL": "5000",
}
_EXCLUDED_URLS = {
    "FLASK": HEALTH_CHECKS,
    "FASTAPI": HEALTH_CHECKS,
    "DJANGO": HEALTH_CHECKS,
    "REQUESTS": ROLLBARS_ITEMS,
}
_TIMEOUTS = {"TRACES": "3600", "LOGS": "3600", "METRICS": "4"}
"""Seconds for a batch with all its tries, as the specification has it; upstream's exporter takes it
for the time of one."""


def missing(given: Mapping[str, str]) -> dict[str, str]:
    """The variables that `given` lacks, with their defaults.

    What the user set for all signals, or all libraries, is set for each of them.
    """
    found = dict(_FIXED)
    if "OTEL_PYTHON_EXCLUDED_URLS" not in given:
        found |= {
            f"OTEL_PYTHON_{name}_EXCLUDED_URLS": urls for name, urls in _EXCLUDED_URLS.items()
        }
    for signal, seconds in _TIMEOUTS.items():
        exporter = f"OTEL_{signal}_EXPORTER"
        found[exporter] = _exporter(signal, given)
        ours = given.get(exporter, found[exporter]) == EXPORTER
        if ours and "OTEL_EXPORTER_OTLP_TIMEOUT" not in given:
            found[f"OTEL_EXPORTER_OTLP_{signal}_TIMEOUT"] = seconds
    return {name: value for name, value in found.items() if name not in given}


def _exporter(signal: str, given: Mapping[str, str]) -> str:
    """Ours speaks HTTP alone; for gRPC it is upstream's."""
    for name in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if name in given:
            return "otlp" if given[name] == "grpc" else EXPORTER
    return EXPORTER
