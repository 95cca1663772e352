"""One log record for each request, with OpenTelemetry's own attribute names."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING

from flask import g, request

if TYPE_CHECKING:
    from flask import Flask, Response

logger = logging.getLogger("access")

_QUIET = frozenset({"/api/health-check"})
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
    segments = [_masked(segment) for segment in re.split(r"[?;#]", path)[0].split("/")]
    return "".join(c if c.isprintable() else "�" for c in "/".join(segments))[:_LONGEST_PATH]


def _masked(segment: str) -> str:
    if _UUID.fullmatch(segment):
        return segment
    if "=" in segment or _TOKEN.fullmatch(segment):
        return "***"
    return segment


def _start() -> None:
    g.request_start = time.perf_counter()


def _record(response: Response) -> Response:
    # Health checks come every few seconds and would be most of the log.
    level = logging.DEBUG if request.path in _QUIET else logging.INFO
    path = path_without_secrets(request.path)
    seconds = time.perf_counter() - g.request_start if "request_start" in g else 0.0
    logger.log(
        level,
        "%s %s %d",
        request.method,
        path,
        response.status_code,
        extra={
            "client.address": request.remote_addr or "",
            "http.request.method": request.method,
            "url.scheme": request.scheme,
            "url.path": path,
            "http.route": request.url_rule.rule if request.url_rule else "",
            "http.response.status_code": response.status_code,
            "http.server.request.duration": round(seconds, 6),
        },
    )
    return response
