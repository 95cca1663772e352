"""A Celery worker's logs and last spans are delivered.

A worker takes every handler from the root logger when it starts, OpenTelemetry's too, and its
children of the prefork pool end without Python's exit handlers.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from celery import signals
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]
    BaseInstrumentor,
)
from opentelemetry.instrumentation.logging import LoggingInstrumentor

from otel_stack_distro.ends import deliver


class CeleryWorkerInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Puts the handler back, and has each child deliver what it holds before it ends."""

    def instrumentation_dependencies(self) -> Collection[str]:
        return ("celery >= 5",)

    def _instrument(self, **_: Any) -> None:
        signals.after_setup_logger.connect(_send_too)
        signals.after_setup_task_logger.connect(_send_too)
        signals.worker_process_shutdown.connect(_deliver)

    def _uninstrument(self, **_: Any) -> None:
        signals.after_setup_logger.disconnect(_send_too)
        signals.after_setup_task_logger.disconnect(_send_too)
        signals.worker_process_shutdown.disconnect(_deliver)


def _send_too(logger: logging.Logger, **_: Any) -> None:
    handler = LoggingInstrumentor._logging_handler  # noqa: SLF001
    passed_on = logger.parent is not None and logger.propagate
    if handler is not None and handler not in logger.handlers and not passed_on:
        logger.addHandler(handler)


def _deliver(**_: Any) -> None:
    deliver()
