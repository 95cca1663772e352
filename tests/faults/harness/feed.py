"""One worker's hour without a collector, as fast as it goes: `python -m … PORTION PORTIONS`.

Run by `opentelemetry-instrument` with the services' settings. Each portion makes the spans and the
log record of so many requests; after each a line of JSON says what memory it took.
"""

from __future__ import annotations

import json
import logging
import sys

import psutil
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from otel_stack_distro.json_logging import configure_logging

SPANS_A_REQUEST = 6
"""What the backend makes of `GET /api/activities/home`."""

# As many and as long as the backend's server span has them.
ATTRIBUTES = {
    f"http.request.attribute.{number}": f"/api/activities/home and more {number}"
    for number in range(16)
}


def main(portion: int, portions: int) -> None:
    configure_logging()
    access = logging.getLogger("access")
    tracer = trace.get_tracer("feed")
    process = psutil.Process()
    for number in range(portions + 1):
        print(json.dumps({"requests": number * portion, "rss": process.memory_info().rss}))
        if number == portions:
            break
        for _ in range(portion):
            with tracer.start_as_current_span("GET /home", kind=SpanKind.SERVER) as server:
                server.set_attributes(ATTRIBUTES)
                for _ in range(SPANS_A_REQUEST - 1):
                    with tracer.start_as_current_span("SELECT", attributes=ATTRIBUTES):
                        pass
                access.info("GET %s", "/api/activities/home", extra=ATTRIBUTES)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
