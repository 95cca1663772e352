"""The ends of a process at which Python runs no exit handlers, and so delivers no telemetry."""

from __future__ import annotations

import multiprocessing.util
import signal
import sys
import threading
from types import FrameType
from typing import Any

from opentelemetry import _logs, metrics, trace

from otel_stack_distro.otlp_retry.ending import of_this_process


def deliver_at_every_end() -> None:
    """At SIGTERM, unless the program handles it, and in children that multiprocessing forked."""
    in_main = threading.current_thread() is threading.main_thread()
    # uvicorn sends itself the signal again once it has shut down, and dies of it.
    if in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _exit)
    multiprocessing.util.register_after_fork(deliver, _deliver_at_exit)


def deliver() -> None:
    """Send what this process holds, now and for the last time: 2 s where no collector answers."""
    of_this_process.begin()
    for provider in (
        trace.get_tracer_provider(),
        metrics.get_meter_provider(),
        _logs.get_logger_provider(),
    ):
        # The API's own have none.
        shutdown = getattr(provider, "shutdown", None)
        if shutdown is not None:
            shutdown()


def _exit(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _deliver_at_exit(_: Any) -> None:
    # Behind the child's own finalizers, which have a priority or come before.
    multiprocessing.util.Finalize(None, deliver, exitpriority=-100)
