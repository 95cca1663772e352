"""What a process did not deliver: counted as a metric, and said in the log once in a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Literal

from opentelemetry import metrics

Signal = Literal["traces", "logs", "metrics"]
Reason = Literal["queue_full", "refused", "away", "unencodable"]

METRIC = "telemetry.lost"
SAY_EVERY_SECONDS = 60.0

_NAMES = {"traces": "spans", "logs": "log records", "metrics": "data points"}
_QUEUE_FULL = {"traces": "Queue full, dropping Span.", "logs": "Queue full, dropping Log."}
_WHY = {
    "queue_full": "the queue was full",
    "refused": "they were refused",
    "away": "the collector was away",
    "unencodable": "they cannot be encoded",
}

# Not sent through the exporter that it is about: json_logging keeps this name on the console.
_logger = logging.getLogger("opentelemetry.otlp_retry")
_queues = logging.getLogger("opentelemetry.sdk._shared_internal")


class Losses:
    """Counts what is lost of one signal: metric `telemetry.lost` by `signal` and `reason`.

    The metric has no value until something is lost, so that a healthy service pays for no series.
    """

    def __init__(self, signal: Signal, clock: Callable[[], float] = time.monotonic) -> None:
        self._signal = signal
        self._clock = clock
        self._counter = metrics.get_meter("otlp_retry").create_counter(
            METRIC, unit="{item}", description="What the app recorded and did not deliver"
        )
        self._total = self._said = 0
        self._say_next = 0.0
        self._last: Reason = "queue_full"

    def add(self, count: int, reason: Reason) -> None:
        self._total += count
        self._last = reason
        self._counter.add(count, {"signal": self._signal, "reason": reason})
        if self._clock() >= self._say_next:
            self.say()

    def say(self) -> None:
        """One line with the total so far, if it has grown since the last one."""
        if self._total > self._said:
            self._said = self._total
            self._say_next = self._clock() + SAY_EVERY_SECONDS
            _logger.error(
                "%d %s of this process are lost so far; the last because %s",
                self._total,
                _NAMES[self._signal],
                _WHY[self._last],
            )

    def count_full_queue(self) -> None:
        """Count what the SDK's own queue drops.

        Its log line for each is the only sign: its metrics for it come with four more on every
        span, and would make gunicorn's master export (docs/decisions/0016).
        """
        # Else LOG_LEVEL=ERROR would keep the lines from their filter.
        _queues.setLevel(logging.WARNING)
        _queues.filters.insert(0, self._full_queue)

    def _full_queue(self, record: logging.LogRecord) -> bool:
        if record.getMessage() != _QUEUE_FULL[self._signal]:
            return True
        self.add(1, "queue_full")
        return False
