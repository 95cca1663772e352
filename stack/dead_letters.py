"""What waits in the dead letters, by vendor and reason, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from stack.errors import cut
from stack.replay import Letter

LONGEST = 240
PANIC = "the exporter panicked on it"

UNITS = {"traces": "spans", "metrics": "data points", "logs": "log records"}

PANICS = (
    (
        "Stacktrace ",
        """a stack trace that was cut or is malformed: raise the sender's
        OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT, or let it record the exception's whole text""",
    ),
    (
        "LocalRoot",
        """a span with aws.span.kind=LOCAL_ROOT (AWS's own SDKs set it) whose resource is of another
        cloud: leave the attribute out there, or set cloud.provider=aws""",
    ),
)
"""By a part of the function's name in which upstream's translation panics."""

CHANGE = "change it at the sender: `python -m stack replay --list` names the letters"


@dataclass(frozen=True)
class Pile:
    """The dead letters of one vendor and signal that were refused for the same reason.

    `reason` is the newest one's: reasons that differ in numbers only are the same. `services` sent
    them, where that is known. `last`: seconds since the epoch.
    """

    vendor: str
    signal: str
    reason: str
    items: int
    services: tuple[str, ...]
    last: float

    def __str__(self) -> str:
        """Without the time."""
        of = f" of {', '.join(self.services)}" if self.services else ""
        return f"{self.items} {UNITS.get(self.signal, self.signal)}{of}: {self.reason}"

    @property
    def todo(self) -> str:
        """What to do about them."""
        if PANIC in self.reason:
            return (
                "upstream's translation fails on such an item, so `make replay` will not help; "
                + " ".join(
                    next((why for where, why in PANICS if where in self.reason), CHANGE).split()
                )
            )
        return (
            f"put right what the reason says, then `make replay VENDOR={self.vendor}`; what is "
            "never taken has to be changed at the sender"
        )


def piles(letters: Iterable[Letter]) -> list[Pile]:
    """The letters together by vendor, signal and reason; the most recent pile first."""
    found: dict[tuple[str, str, str], Pile] = {}
    for letter in letters:
        head = letter.header
        reason = cut(head.reason, LONGEST)
        key = (letter.vendor, head.signal, re.sub(r"\d+", "0", reason))
        before = found.get(key)
        services = {*(before.services if before else ()), *filter(None, [head.service])}
        found[key] = Pile(
            letter.vendor,
            head.signal,
            reason,
            (before.items if before else 0) + head.refused,
            tuple(sorted(services)),
            max(before.last if before else 0.0, _seconds(head.at)),
        )
    return sorted(found.values(), key=lambda pile: -pile.last)


def _seconds(at: str) -> float:
    """Go writes nanoseconds, of which Python reads six digits."""
    try:
        return (
            datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", at)).astimezone(UTC).timestamp()
        )
    except ValueError:
        return 0.0
