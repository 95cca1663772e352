"""Room on the disk: what is needed before something starts, and that it was what was missing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from stack.errors import StackError

_FULL = re.compile(r"no space left on device|\bENOSPC\b|\[Errno 28\]|quota exceeded", re.IGNORECASE)


def check_room(folder: Path, what: str, megabytes: int) -> None:
    """Raise StackError unless `what` has its room in `folder`, which has to be there."""
    free = free_megabytes(folder)
    if free < megabytes:
        raise StackError(
            f"{what} need {megabytes} MB in {folder}, and {free} MB are free", "make room there"
        )


def free_megabytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free // 2**20


def full_disk(what: str, said: str) -> StackError | None:
    """The error for `what` went wrong, where a program that failed said that a disk is full."""
    lines = [line.strip() for line in said.splitlines() if _FULL.search(line)]
    if not lines:
        return None
    return StackError(
        f"the disk is full: {what} ({lines[-1]})", "make room; `make doctor` says how much is free"
    )
