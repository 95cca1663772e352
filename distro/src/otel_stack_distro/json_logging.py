"""The console's log: one JSON object a line, with the ids of the trace it belongs to.

No line holds a secret: what is printed passes no collector, and whoever runs the service keeps it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any

from opentelemetry import trace

from otel_stack_distro.crash_output import clean_stderr, cleaned
from otel_stack_distro.printable import printable, text
from otel_stack_distro.redaction import clean, clean_text

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A line's names: `timestamp`, `level`, `logger`, `message`, `service`.

    Where there is a span `trace_id`, `span_id` and `trace_flags`, as the specification names them
    outside of OTLP: even, the trace is not recorded. With an exception `exception`, and whatever
    the caller passed as `extra`.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": clean_text(_message(record)),
            "service": self._service,
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = trace.format_trace_id(context.trace_id)
            line["span_id"] = trace.format_span_id(context.span_id)
            line["trace_flags"] = f"{context.trace_flags:02x}"
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        for name, value in clean(printable(extra)).items():
            line.setdefault(name, value)
        if record.exc_info:
            line["exception"] = text(cleaned(self.formatException(record.exc_info)))
        return json.dumps(line, allow_nan=False)


def _message(record: logging.LogRecord) -> str:
    """What does not fit its arguments is printed as it stands: a line is not lost for it."""
    try:
        return text(record.getMessage())
    except Exception as wrong:  # noqa: BLE001 - arguments are the app's, and may raise anything
        return (
            f"{text(record.msg)} {printable(record.args)} ({type(wrong).__name__}: {text(wrong)})"
        )


class DropRequestLines(logging.Filter):
    """Keeps out the line that the development server writes for each request.

    It holds the query string, and the access log has the request already.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return " - - [" not in str(record.msg)


def console_handler() -> logging.Handler:
    """Prints JSON lines. The service's name is that of its telemetry, `OTEL_SERVICE_NAME`."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(os.environ.get("OTEL_SERVICE_NAME", "unknown_service")))
    return handler


def configure_logging() -> None:
    """Send this process's log to the console, from the level that `LOG_LEVEL` names, INFO if unset.

    Only adds: handlers that others put on the root logger stay. Harmless when done twice.
    """
    clean_stderr()
    root = logging.getLogger()
    if any(isinstance(handler.formatter, JsonFormatter) for handler in root.handlers):
        return
    console = console_handler()
    root.addHandler(console)
    root.setLevel(os.environ.get("LOG_LEVEL", "INFO"))
    logging.getLogger("werkzeug").addFilter(DropRequestLines())
    # What the exporters say about a collector that is away stays on the console: sent through the
    # exporter that fails, it would only feed itself.
    telemetry = logging.getLogger("opentelemetry")
    telemetry.addHandler(console)
    telemetry.propagate = False
