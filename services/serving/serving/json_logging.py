"""The console's log: one JSON object a line, with the ids of the trace it belongs to."""

from __future__ import annotations

import json
import logging
import logging.config
import os
from datetime import UTC, datetime
from typing import Any

from opentelemetry import trace

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A line's names: `timestamp`, `level`, `logger`, `message`, `service`.

    Where there is a span `trace_id` and `span_id`, with an exception `exception`, and whatever the
    caller passed as `extra`.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "service": self._service,
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = trace.format_trace_id(context.trace_id)
            line["span_id"] = trace.format_span_id(context.span_id)
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line.setdefault(name, value)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class DropRequestLines(logging.Filter):
    """Keeps out the line that the development server writes for each request.

    It holds the query string, and the access log has the request already.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return " - - [" not in str(record.msg)


def logging_config(environ: dict[str, str] | os._Environ[str] = os.environ) -> dict[str, Any]:
    """For `logging.config.dictConfig`, and gunicorn's `logconfig_dict`.

    `LOG_LEVEL` is one of logging's own names, INFO where unset. The service's name is the one that
    its telemetry carries, `OTEL_SERVICE_NAME`.
    """
    service = environ.get("OTEL_SERVICE_NAME", "unknown_service")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter, "service": service}},
        "filters": {"no_request_lines": {"()": DropRequestLines}},
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "json",
                "stream": "ext://sys.stdout",
            }
        },
        "root": {"level": environ.get("LOG_LEVEL", "INFO"), "handlers": ["console"]},
        "loggers": {
            # gunicorn keeps its loggers to itself; handed to the root they reach the console as
            # JSON, and OTLP ("WORKER TIMEOUT" is a line that one wants to find).
            "gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True},
            # What the exporters say about a collector that is away stays on the console: sent
            # through the exporter that fails, it would only feed itself.
            "opentelemetry": {"handlers": ["console"], "propagate": False},
            "werkzeug": {"level": "INFO", "filters": ["no_request_lines"]},
        },
    }


def configure_logging() -> None:
    """Send this process's log to the console; harmless when done twice.

    The handler that OpenTelemetry put on the root logger stays: its instrumentation takes it out
    before `dictConfig` and puts it back after.
    """
    logging.config.dictConfig(logging_config())
