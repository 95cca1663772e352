"""The table: what is done to which vendor, and what happens to the collector meanwhile."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from standins.faults import STATUS_MODES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from standins.faults import Mode

Circumstance = Literal["steady", "kill -9", "SIGTERM", "reload", "down at start"]
Outcome = Literal["all", "letters", "refused"]

VENDORS: dict[str, tuple[Mode, ...]] = {
    "honeycomb": ("refuse", "hang", "slow", "reset", *sorted(STATUS_MODES), "partial"),
    "xray": ("refuse", "hang", "slow", "reset", *sorted(STATUS_MODES), "unprocessed"),
    "cloudwatch": ("refuse", "hang", "slow", "reset", *sorted(STATUS_MODES)),
}
CIRCUMSTANCES: tuple[Circumstance, ...] = (
    "steady",
    "kill -9",
    "SIGTERM",
    "reload",
    "down at start",
)


@dataclass(frozen=True)
class Case:
    """`before`, `during` and `after` are seconds of traffic around the fault."""

    vendor: str
    mode: Mode
    circumstance: Circumstance
    before: float = 1.0
    during: float = 4.0
    after: float = 2.0
    retry_after: int | None = None

    @property
    def outcome(self) -> Outcome:
        """`all`: the vendor has everything once it is well. `letters`: it refused for good, which
        is counted, and has everything after `stack replay`. `refused`: it took batches in part.
        """
        if self.mode == "400":
            return "letters"
        return "refused" if self.mode == "partial" else "all"

    @property
    def id(self) -> str:
        waits = f" Retry-After {self.retry_after}" if self.retry_after is not None else ""
        return f"{self.vendor}, {self.mode}{waits}, {self.circumstance}"


def table() -> list[Case]:
    """Every vendor by its modes by the circumstances, and 503 that names a time."""
    cases = [
        Case(vendor, mode, circumstance)
        for circumstance in CIRCUMSTANCES
        for vendor, modes in VENDORS.items()
        for mode in modes
    ]
    cases += [
        Case(vendor, mode, "steady", retry_after=2) for vendor in VENDORS for mode in ("429", "503")
    ]
    return cases


def quick() -> list[Case]:
    """A few of the table that fail first when something is broken: for each `make test`."""
    return [
        Case("honeycomb", "hang", "steady", during=2.5, after=1),
        Case("honeycomb", "403", "kill -9", during=2.5, after=1),
        Case("honeycomb", "400", "steady", during=2.5, after=1),
        Case("xray", "429", "steady", during=2.5, after=1),
        Case("xray", "unprocessed", "SIGTERM", during=2.5, after=1),
        Case("cloudwatch", "refuse", "reload", during=2.5, after=1),
    ]


def drawn(runs: int, seed: int) -> Iterator[Case]:
    """`runs` cases with random times; equal for an equal seed."""
    rng = random.Random(seed)
    for _ in range(runs):
        vendor = rng.choice(list(VENDORS))
        yield Case(
            vendor,
            rng.choice(VENDORS[vendor]),
            rng.choice(CIRCUMSTANCES),
            before=rng.uniform(0.0, 2.0),
            during=rng.uniform(1.0, 8.0),
            after=rng.uniform(0.0, 3.0),
            retry_after=rng.choice([None, None, 1, 3]),
        )
