"""A Flask app's errors go to Rollbar, each with the trace it happened in; each trace knows the
item's uuid. Needs the extra `[rollbar]`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import rollbar
import rollbar.contrib.flask
from flask import Flask
from opentelemetry import trace

from otel_stack_distro.redaction import clean

logger = logging.getLogger(__name__)

DEFAULT_ENDPOINT = "https://api.rollbar.com/api/1/"
TIMEOUT_SECONDS = 3
"""For one POST. It happens in a thread, but a worker's exit waits for it."""

MOST_PENDING = 50
"""Items whose POST has not ended. With Rollbar hanging, each is a thread; more are dropped."""


@dataclass(frozen=True)
class RollbarConfig:
    """`endpoint` ends with a slash: pyrollbar appends `item/`."""

    token: str
    endpoint: str = DEFAULT_ENDPOINT
    environment: str = "production"
    code_version: str | None = None


def report_errors(
    app: Flask, config: RollbarConfig, viewer: Callable[[], str | None] = lambda: None
) -> None:
    """Send unhandled exceptions to Rollbar, without making a request wait.

    `viewer`: the id of who made the current request, where that is known. Whatever Rollbar answers,
    the app goes on.
    """
    # What Rollbar refuses is a line of the log, not the whole payload.
    rollbar.contrib.flask.init(
        app,
        config.token,
        config.environment,
        # What a function was called with may be anything.
        locals={"enabled": False},
        endpoint=config.endpoint,
        code_version=config.code_version,
        handler="thread",
        timeout=TIMEOUT_SECONDS,
        allow_logging_basic_config=False,
        log_payload_on_error=False,
        capture_ip="anonymize",
        suppress_reinit_warning=True,
    )
    rollbar.events.add_payload_handler(lambda payload, **_: with_trace(payload, viewer()))


def with_trace(payload: dict[str, Any], viewer: str | None = None) -> dict[str, Any] | bool:
    """Join the item and the span, and take out its secrets; False drops the item."""
    if rollbar._threads.qsize() >= MOST_PENDING:  # noqa: SLF001 — it has no public count
        logger.warning("an item for Rollbar was dropped: %d are waiting already", MOST_PENDING)
        return False
    data = payload["data"]
    span = trace.get_current_span()
    context = span.get_span_context()
    if context.is_valid:
        data.setdefault("custom", {}).update(
            trace_id=trace.format_trace_id(context.trace_id),
            span_id=trace.format_span_id(context.span_id),
        )
        span.set_attribute("rollbar.uuid", data["uuid"])
    if viewer:
        data["person"] = {"id": viewer[:64]}
    # pyrollbar has hidden what stands under a few names; the rest is done here, on the last copy.
    return {**payload, "data": clean(data)}
