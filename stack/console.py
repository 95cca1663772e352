"""What the operator sees while something takes time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

# Progress goes to standard error, so that `--json` on standard output stays parseable.
console = Console(stderr=True, highlight=False)

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


@contextmanager
def step(what: str) -> Iterator[None]:
    """Show that `what` is going on, and how long it took once it is over.

    A terminal gets a spinner; a log gets a line at the beginning and one at the end.
    """
    started = time.monotonic()
    if not console.is_terminal:
        console.print(f"  … {what}", soft_wrap=True)
    try:
        with console.status(f"{what} …"):
            yield
    except BaseException:
        console.print(f"  [red]✗[/] {what} ({time.monotonic() - started:.1f} s)", soft_wrap=True)
        raise
    console.print(f"  [green]✓[/] {what} ({time.monotonic() - started:.1f} s)", soft_wrap=True)
