"""The end of the process: how long its exporters, all together, still wait for a collector."""

from __future__ import annotations

import atexit
import os
import threading
import time

GRACE_SECONDS = 2.0
"""gunicorn's master kills a worker 5 s after SIGTERM; the last request takes its part of them, and
the interpreter's own end 1.5 s on busy cores."""

BETWEEN_TRIES = 0.25


class Ending:
    """One for all exporters of a process, since the SDK shuts its signals down one after another.

    `hopeless`: the grace is over and a try has failed since; what is left is not tried any more.
    """

    def __init__(self, grace: float = GRACE_SECONDS) -> None:
        self.hopeless = False
        self._grace = grace
        self._begun = threading.Event()
        self._deadline = float("inf")

    @property
    def begun(self) -> bool:
        return self._begun.is_set()

    @property
    def left(self) -> float:
        """Seconds of the grace, without end before it begins."""
        return self._deadline - time.monotonic()

    def begin(self) -> None:
        """Wake whoever waits: the collector may be back, and there is little time left."""
        if not self._begun.is_set():
            self._deadline = time.monotonic() + self._grace
            self._begun.set()

    def pause(self, seconds: float) -> None:
        """Wait, for a moment only once the process ends."""
        if not self._begun.is_set():
            self._begun.wait(seconds)
        else:
            time.sleep(min(seconds, BETWEEN_TRIES))

    def begin_at_exit(self) -> None:
        """Have `begin` called before the SDK's own handlers that are registered by now.

        Handlers run last in first out, and each of the SDK's waits for its exporter for up to 30 s
        before it tells it. Harmless when done again.
        """
        atexit.unregister(self.begin)
        atexit.register(self.begin)


of_this_process = Ending()
# The SDK registers the handler of its metrics after their exporter; in a worker ours comes last.
os.register_at_fork(after_in_child=of_this_process.begin_at_exit)
