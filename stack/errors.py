"""The one error that ends a command with a line for its user."""

from __future__ import annotations

import errno
import textwrap
from pathlib import Path


class StackError(Exception):
    """Something the user can put right.

    `what` says what is wrong and where, `todo` what to do about it; both begin in lower case and
    end without a full stop, since they are shown as one line.
    """

    exit_code = 1

    def __init__(self, what: str, todo: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.todo = todo

    def __str__(self) -> str:
        return f"{self.what}; {self.todo}" if self.todo else self.what


_GIVE_BACK = "after a `sudo make up`, `sudo chown -R $USER .run` gives the files back"
_REFUSALS = {
    errno.EACCES: _GIVE_BACK,
    errno.EPERM: _GIVE_BACK,
    errno.EROFS: "set RUN_DIR to a folder that can be written",
    errno.ENOSPC: "make room; `make doctor` says how much is free",
    errno.EDQUOT: "make room, or ask for a larger quota",
}


def refusal(error: OSError) -> StackError | None:
    """What a machine does not allow, as a line for its user; None for what is a mistake of ours."""
    todo = _REFUSALS.get(error.errno or 0)
    if todo is None:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return StackError(f"{where}{(error.strerror or 'refused').lower()}", todo)


def read_committed(path: Path) -> str:
    """A file of this project. Raises StackError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as failed:
        raise StackError(
            f"{path} cannot be read ({failed.strerror})", "restore it from git"
        ) from None


SHORT = 16


def quoted(value: str) -> str:
    """A wrong value as an error shows it: a long one may be a key that ended up there."""
    return repr(value) if len(value) <= SHORT else f"a value of {len(value)} characters"


def cut(text: str, length: int) -> str:
    """The beginning of what somebody said, in one line that ends with a whole word: half of a key
    that is repeated there would not be known for one, and not hidden.
    """
    return textwrap.shorten(
        text, length, placeholder=" …", break_long_words=False, break_on_hyphens=False
    )
