"""Time of a machine that runs: what a pause of all its processes takes is nobody's delay."""

from __future__ import annotations

import subprocess
import time

TICK_SECONDS = 0.02
PAUSE_SECONDS = 0.2
"""A tick that takes longer is a pause. Two busy cores made one of 20 ms take up to 0.1 s."""


class RunningTime:
    """Seconds, measured by ticks; of one that takes as long as a pause only the tick counts."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._last = time.monotonic()

    def tick(self) -> float:
        """To be called at least every TICK_SECONDS; returns what counts by now."""
        now = time.monotonic()
        passed, self._last = now - self._last, now
        self.seconds += TICK_SECONDS if passed > PAUSE_SECONDS else passed
        return self.seconds


def wait_while_it_runs(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the process ends within so many seconds of running time."""
    clock = RunningTime()
    while process.poll() is None:
        if clock.tick() > seconds:
            return False
        time.sleep(TICK_SECONDS)
    return True
