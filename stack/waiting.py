"""Waiting for a condition, with a deadline and the last thing seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class DeadlineError(Exception):
    """`seen` is what the last look showed."""

    def __init__(self, what: str, seconds: float, seen: object) -> None:
        super().__init__(f"{what}: not within {seconds:g} s; last seen: {seen}")
        self.seen = seen


def wait_for(
    what: str,
    look: Callable[[], T],
    *,
    until: Callable[[T], bool] = bool,
    seconds: float,
    pause: float = 0.05,
) -> T:
    """Call `look` until `until` holds of what it returns; that is returned.

    Raises DeadlineError after `seconds`. An OSError (nobody listens yet) counts as "not yet".
    """
    deadline = time.monotonic() + seconds
    seen: object = "nothing"
    while True:
        try:
            found = look()
        except OSError as failed:
            seen = failed
        else:
            if until(found):
                return found
            seen = found
        if time.monotonic() >= deadline:
            raise DeadlineError(what, seconds, seen)
        time.sleep(pause)
