"""One log record for each request, with OpenTelemetry's own attribute names.

A request worth counting for an alarm has `security_event` and `security_client` besides: `probe`
(and `security_rule.name`, the shape), `denied`, `not_found` or `invalid`. They are written without
a dot because CloudWatch's rules by contributor cannot name a field that has one.
"""

from __future__ import annotations

import logging
import re
import time

from flask import Flask, Response, g, request
from opentelemetry import trace

from otel_stack_distro.flask import attack_patterns
from otel_stack_distro.redaction import MASK, clean_text

logger = logging.getLogger("access")

_QUIET = frozenset({"/api/health-check"})
EVENTS = {400: "invalid", 401: "denied", 403: "denied", 404: "not_found", 422: "invalid"}
_LONGEST_PATH = 256
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TOKEN = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9._~+=-]{24,}")


def init_app(app: Flask) -> None:
    app.before_request(_start)
    app.after_request(_record)


def path_without_secrets(path: str) -> str:
    """The path as it may be written down, 256 characters at most.

    No parameters, nothing that looks like a credential, no control characters.
    """
    clean = clean_text(re.split(r"[?;#]", path)[0])
    segments = [_masked(segment) for segment in clean.split("/")]
    return "".join(c if c.isprintable() else "�" for c in "/".join(segments))[:_LONGEST_PATH]


def _masked(segment: str) -> str:
    if _UUID.fullmatch(segment):
        return segment
    if MASK in segment or "=" in segment or _TOKEN.fullmatch(segment):
        return MASK
    return segment


def _start() -> None:
    g.request_start = time.perf_counter()


def _record(response: Response) -> Response:
    shape = attack_patterns.shape(request.path, request.query_string.decode("latin-1"))
    # Health checks come every few seconds and would be most of the log.
    level = logging.DEBUG if request.path in _QUIET else logging.INFO
    if shape:
        level = logging.WARNING
        trace.get_current_span().set_attribute("security_rule.name", shape)
    path = path_without_secrets(request.path)
    seconds = time.perf_counter() - g.request_start if "request_start" in g else 0.0
    logger.log(
        level,
        "%s %s %d",
        request.method,
        path,
        response.status_code,
        extra={
            **({"client.address": request.remote_addr} if request.remote_addr else {}),
            "http.request.method": request.method,
            "url.scheme": request.scheme,
            "url.path": path,
            "http.route": request.url_rule.rule if request.url_rule else "",
            "http.response.status_code": response.status_code,
            "http.server.request.duration": round(seconds, 6),
            **_security(response.status_code, shape),
        },
    )
    return response


def _security(status: int, shape: str | None) -> dict[str, str]:
    event = "probe" if shape else EVENTS.get(status)
    if event is None:
        return {}
    found = {"security_event": event}
    if shape:
        found["security_rule.name"] = shape
    if request.remote_addr:
        found["security_client"] = request.remote_addr
    return found
