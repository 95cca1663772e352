"""The few OTLP messages that the stack sends itself, as JSON."""

from __future__ import annotations

import time
from typing import Any

import requests

from stack.access import Access
from stack.errors import StackError
from stack.telemetry import KINDS
from stack.traced_request import root_span_id

SCOPE = {"name": "otel-stack"}

VERIFY_SERVICE = "otel-stack-verify"
VERIFY_METRIC = "otel_stack.verify"
"""What `make verify` sends as, and its data point."""


def send(otlp_url: str, signal: str, message: dict[str, Any], access: Access) -> None:
    """POST one message to a collector. Raises StackError when it is not taken."""
    url = f"{otlp_url}/v1/{signal}"
    try:
        with local_session(access) as session:
            answer = session.post(url, json=message, timeout=10)
    except requests.RequestException as failed:
        raise StackError(f"the collector does not answer on {url} ({failed})") from None
    if not answer.ok:
        raise StackError(
            f"the collector answers {answer.status_code} on {url}: {answer.text[:200]}"
        )


def local_session(access: Access) -> requests.Session:
    """Sends to a collector of this machine what `access` asks for."""
    session = requests.Session()
    # Neither a proxy nor a CA bundle of the caller's environment, which win over what is set here.
    session.trust_env = False
    options = access.request_options()
    session.verify = options.get("verify", True)
    session.cert = options.get("cert")
    session.headers.update(options.get("headers", {}))
    return session


def span(service: str, trace_id: str, name: str) -> dict[str, Any]:
    """An export of one finished server span of 1 ms, the trace's root."""
    now = time.time_ns()
    root = root_span_id(trace_id)
    body = span_body(trace_id, root, name, "SERVER", start=now - 1_000_000, end=now)
    return spans(service, [body])


def spans(service: str, bodies: list[dict[str, Any]]) -> dict[str, Any]:
    """An export of spans, each as `span_body` makes it."""
    scoped = {"scope": SCOPE, "spans": bodies}
    return {"resourceSpans": [{"resource": _resource(service), "scopeSpans": [scoped]}]}


def span_body(
    trace_id: str,
    span_id: str,
    name: str,
    kind: str,
    *,
    start: int,
    end: int,
    parent_id: str = "",
) -> dict[str, Any]:
    """One finished span. `kind` as in `stack.telemetry.KINDS`; times in nanoseconds since 1970."""
    return {
        "traceId": trace_id,
        "spanId": span_id,
        **({"parentSpanId": parent_id} if parent_id else {}),
        "name": name,
        "kind": KINDS.index(kind),
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(end),
    }


def gauge_value(trace_id: str) -> int:
    """A number that tells a trace's data point from others, exact as a floating-point one too."""
    return int(trace_id[:12], 16)


def gauge(service: str, trace_id: str, name: str) -> dict[str, Any]:
    """An export of one data point, `gauge_value(trace_id)`, with the attribute `trace_id`."""
    point = {
        "timeUnixNano": str(time.time_ns()),
        "asInt": str(gauge_value(trace_id)),
        "attributes": _trace(trace_id),
    }
    metric = {"name": name, "unit": "1", "gauge": {"dataPoints": [point]}}
    scoped = {"scope": SCOPE, "metrics": [metric]}
    return {"resourceMetrics": [{"resource": _resource(service), "scopeMetrics": [scoped]}]}


def log(service: str, trace_id: str, body: str) -> dict[str, Any]:
    """An export of one log record of severity INFO that belongs to the trace's root."""
    now = str(time.time_ns())
    record = {
        "timeUnixNano": now,
        "observedTimeUnixNano": now,
        "severityNumber": 9,
        "severityText": "INFO",
        "body": {"stringValue": body},
        "traceId": trace_id,
        "spanId": root_span_id(trace_id),
    }
    scoped = {"scope": SCOPE, "logRecords": [record]}
    return {"resourceLogs": [{"resource": _resource(service), "scopeLogs": [scoped]}]}


def _resource(service: str) -> dict[str, Any]:
    return {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}


def _trace(trace_id: str) -> list[dict[str, Any]]:
    return [{"key": "trace_id", "value": {"stringValue": trace_id}}]
