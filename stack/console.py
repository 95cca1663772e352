"""What the operator sees while something takes time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

# Progress goes to standard error, so that `--json` on standard output stays parseable.
console = Console(stderr=True, highlight=False)

REPORT_EVERY_SECONDS = 10
"""In a log, of a step that says how far it is."""

LONGEST = 1000
"""Of what others wrote, on one line."""


def shown(text: str) -> str:
    """What others wrote, as markup that prints it and does nothing else: a sender chooses its
    service's name, and a terminal obeys the escape sequences in one. Cut at `LONGEST` characters.
    """
    cut = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return escape("".join(c if c.isprintable() else "\ufffd" for c in cut))


def ago(seconds: float) -> str:
    """How long ago, in the largest unit of which there are two: 90 s, 5 min, 3 h."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"


def count(number: int, what: str) -> str:
    """For example 1 span, 2 spans."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def took(seconds: float) -> str:
    """How long something took, in its largest unit: 0.04 ms, 12.3 ms, 1.20 s, 2.1 min."""
    for unit, length, form in (("min", 60, ".1f"), ("s", 1, ".2f"), ("ms", 1e-4, ".1f")):
        if seconds >= length:
            return f"{seconds / (1e-3 if unit == 'ms' else length):{form}} {unit}"
    return f"{seconds * 1e3:.2f} ms"


class Step:
    """Something that is going on, perhaps beside others. `tell` says how far it is."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.state = ""
        self._started = self._printed = time.monotonic()

    def tell(self, state: str) -> None:
        """Show how far it is; in a log now and then."""
        self.state = state
        if console.is_terminal:
            _refresh()
        elif time.monotonic() - self._printed > REPORT_EVERY_SECONDS:
            self._printed = time.monotonic()
            console.print(f"    {self.what}: {state}", soft_wrap=True)

    def ended(self, mark: str) -> None:
        took = time.monotonic() - self._started
        left = ", ".join(one.what for one in _going_on)
        # A terminal shows below what is going on.
        left = f"; still {left}" if left and not console.is_terminal else ""
        console.print(f"  {mark} {self.what} ({took:.1f} s){left}", soft_wrap=True)


_going_on: list[Step] = []
_status = console.status("")
_refreshing = threading.Lock()


def _refresh() -> None:
    """Show what is going on in a terminal's last lines."""
    with _refreshing:
        lines = [f"{one.what}: {one.state}" if one.state else f"{one.what} …" for one in _going_on]
        if lines:
            _status.update("\n  ".join(lines))
            _status.start()
        else:
            _status.stop()


@contextmanager
def step(what: str) -> Iterator[Step]:
    """Show that `what` is going on, and how long it took once it is over.

    A terminal gets a spinner; a log gets a line at the beginning and one at the end.
    """
    going_on = Step(what)
    _going_on.append(going_on)
    if console.is_terminal:
        _refresh()
    else:
        console.print(f"  … {what}", soft_wrap=True)
    mark = "[red]✗[/]"
    try:
        yield going_on
        mark = "[green]✓[/]"
    finally:
        _going_on.remove(going_on)
        if console.is_terminal:
            _refresh()
        going_on.ended(mark)
