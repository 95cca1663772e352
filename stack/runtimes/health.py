"""A service that starts: waited for, and what it printed where it does not come up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stack.errors import StackError
from stack.last_lines import show_last_lines
from stack.services import Plan, Process
from stack.waiting import DeadlineError, wait_for

HEALTHY_SECONDS = 60
ENDED = "ended"


def wait_answers(
    plan: Plan,
    process: Process,
    state: Callable[[], str],
    printed: Callable[[], tuple[Path, Sequence[str]]],
) -> None:
    """Wait until the service answers its health check.

    `state`: what the runtime says of it, beginning with ENDED once it has. `printed`: its log, and
    the lines in it. Raises StackError with its last words.
    """
    import requests  # noqa: PLC0415

    def look() -> str:
        seen = state()
        if seen.startswith(ENDED):
            return seen
        # Whom nobody can ask is taken for well while the runtime says so.
        well = (
            requests.get(process.health, timeout=2).ok
            if process.health
            else seen.lower() == "running"
        )
        return "healthy" if well else seen

    late = ""
    try:
        found = wait_for(
            f"{process.name} {process.health and f'on {process.health}'}",
            look,
            until=lambda seen: seen == "healthy" or seen.startswith(ENDED),
            seconds=HEALTHY_SECONDS,
        )
    except DeadlineError as missed:
        late = f"did not become healthy within {HEALTHY_SECONDS} s: {missed.seen}"
    else:
        if found == "healthy":
            return
    log, lines = printed()
    show_last_lines(plan, process.name, lines)
    last = next((line for line in reversed(lines) if line.strip()), "it printed nothing")
    raise StackError(
        f"{process.name} {late or f'{found} while it was starting: {last}'}", f"its log is {log}"
    )
