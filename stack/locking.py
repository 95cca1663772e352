"""One command at a time where two would spoil each other's work."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from stack.side_by_side import check_stop

POLL_SECONDS = 0.05


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Hold `lock` for the block; wait for whoever holds it. The kernel frees it at a crash."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        while not _taken(held):
            check_stop()
            time.sleep(POLL_SECONDS)
        yield


def _taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
