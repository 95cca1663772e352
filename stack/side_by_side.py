"""Parts of one piece of work at the same time: the first that fails stops the others."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextvars import ContextVar, copy_context

GRACE_SECONDS = 10
"""From SIGTERM to SIGKILL."""


class Stopped(BaseException):
    """Raised in a part that has to stop: another one failed, or the user interrupted."""


class _Stop:
    """The programs that the parts run. Once it is asked for, none begins any more."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._asked = False
        self._running: set[subprocess.Popen[bytes]] = set()

    def check(self) -> None:
        if self._asked:
            raise Stopped

    @contextlib.contextmanager
    def running(
        self, start: Callable[[], subprocess.Popen[bytes]]
    ) -> Iterator[subprocess.Popen[bytes]]:
        with self._change:
            self.check()
            process = start()
            self._running.add(process)
        try:
            yield process
        finally:
            with self._change:
                self._running.discard(process)
                self._change.notify_all()
        self.check()

    def ask(self) -> None:
        """End what runs; each of these programs leads a process group."""
        with self._change:
            self._asked = True
            self._signal(signal.SIGTERM)
            self._change.wait_for(lambda: not self._running, timeout=GRACE_SECONDS)
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)


_current: ContextVar[_Stop] = ContextVar("_current")


def check_stop() -> None:
    """Raise Stopped in a part that has to stop."""
    if stop := _current.get(None):
        stop.check()


@contextlib.contextmanager
def known_to_stop(
    start: Callable[[], subprocess.Popen[bytes]],
) -> Iterator[subprocess.Popen[bytes]]:
    """The program that `start` begins, for as long as it may have to be ended with its part."""
    if stop := _current.get(None):
        with stop.running(start) as process:
            yield process
    else:
        yield start()


def side_by_side(*parts: Callable[[], object]) -> None:
    """Run each part in a thread of its own, until all have ended.

    Raises what the first that failed raised, or the user's interrupt; the others have been stopped
    by then.
    """
    stop = _Stop()

    def begin(part: Callable[[], object]) -> None:
        _current.set(stop)
        part()

    with ThreadPoolExecutor(max_workers=len(parts)) as threads:
        running = [threads.submit(copy_context().run, begin, part) for part in parts]
        try:
            ended, going_on = wait(running, return_when=FIRST_EXCEPTION)
        except BaseException:
            stop.ask()
            raise
        if going_on:
            stop.ask()
    for part in ended:
        part.result()
