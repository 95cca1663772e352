"""What is known of the engine that this project started: its process, and who needs it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from stack.errors import StackError
from stack.waiting import DeadlineError, wait_for

STATE_DIR = Path("/run/otel-stack")

_LOCK_SECONDS = 900
_CLOCK_SECONDS = 60
"""By which this machine's clock may be put right: a process's beginning is told by it, and moves
along. An engine that was not known again was left running for good.
"""


@dataclass
class Record:
    """The engine that this project started.

    `leases`: pid of the holder by name, 0 = until released.
    """

    pid: int
    created: float
    bridge_before: bool
    leases: dict[str, int] = field(default_factory=dict)

    def alive(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            moved = abs(process.create_time() - self.created)
            return moved < _CLOCK_SECONDS and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def read() -> Record | None:
    """The engine that this project started and that still runs."""
    path = file()
    try:
        values: dict[str, Any] = json.loads(path.read_text())
        record = Record(**values)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        path.unlink()
        return None
    if not record.alive():
        path.unlink(missing_ok=True)
        return None
    return record


def write(record: Record) -> None:
    """Keep `record`: the file appears whole."""
    path = file()
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(asdict(record)))
    fresh.replace(path)


def file() -> Path:
    """Where the record is, while there is an engine of this project."""
    return STATE_DIR / "engine.json"


def hold(lease: str, pid: int) -> None:
    """Add a lease on the engine of this project, if that is the one; its end ends with `pid`."""
    record = read()
    if record is not None:
        record.leases[lease] = pid
        write(record)


def writable() -> bool:
    """Whether leases are this user's to keep; another one's containers keep root's engine alive."""
    return os.access(STATE_DIR if STATE_DIR.exists() else STATE_DIR.parent, os.W_OK)


@contextmanager
def locked() -> Iterator[None]:
    """One command at a time starts or stops an engine on this machine.

    Raises StackError after 15 minutes.
    """
    if not writable():
        # Not root: nothing to install, to start or to stop here, and so nothing to guard.
        yield
        return
    STATE_DIR.mkdir(mode=0o755, exist_ok=True)
    with (STATE_DIR / "lock").open("w") as lock:
        try:
            wait_for("another command is done with the engine", lambda: _try_lock(lock.fileno()),
                     seconds=_LOCK_SECONDS, pause=0.2)  # fmt: skip
        except DeadlineError:
            raise StackError(
                "another command has been busy with the Docker engine for 15 minutes",
                f"see who holds {STATE_DIR / 'lock'}",
            ) from None
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
