"""The one error that ends a command with a line for its user."""

from __future__ import annotations


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


SHORT = 16


def quoted(value: str) -> str:
    """A wrong value as an error shows it: a long one may be a key that ended up there."""
    return repr(value) if len(value) <= SHORT else f"a value of {len(value)} characters"
