"""Files that hold keys: for their owner alone."""

from __future__ import annotations

import os
from pathlib import Path

MODE = 0o600


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else can read at any moment, whatever its mode was before."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, MODE)
    # A mode given to open() is for a new file only; the keys come after it is right.
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, MODE)
        file.truncate()
        file.write(text)


def others_may_read(path: Path) -> bool:
    """Whether group or others have any right on `path`."""
    return bool(path.stat().st_mode & 0o077)
