"""The table: what is done to which vendor, and what happens to the collector meanwhile."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Union

from emulators.core.faults import STATUS_MODES, Mode
from tests.faults.harness.far import TROUBLES, Trouble

Stamps = Literal["stamps ahead", "stamps old"]
Kind = Union["Mode", Trouble, Stamps]
Circumstance = Literal[
    "steady", "kill -9", "SIGTERM", "reload", "down at start", "full disk", "spoiled queue"
]
Outcome = Literal["all", "letters", "refused", "set aside"]

STAMPS: dict[Stamps, int] = {"stamps ahead": 3 * 3600, "stamps old": -15 * 24 * 3600}
"""Seconds by which the app's clock jumps. CloudWatch takes logs of 14 days ago to 2 hours ahead;
the others take these."""

VENDORS: dict[str, tuple[Mode, ...]] = {
    "honeycomb": ("refuse", "hang", "slow", "reset", *sorted(STATUS_MODES), "partial"),
    "xray": ("refuse", "hang", "slow", "reset", *sorted(STATUS_MODES), "unprocessed"),
    "cloudwatch": ("refuse", "hang", "slow", "reset", *sorted(STATUS_MODES)),
}
RESTARTS: tuple[Circumstance, ...] = ("kill -9", "SIGTERM", "reload")
CIRCUMSTANCES: tuple[Circumstance, ...] = ("steady", *RESTARTS, "down at start")

ALSO_ACROSS_RESTARTS: tuple[Trouble, ...] = ("DNS gone", "TLS unknown CA")


@dataclass(frozen=True)
class Case:
    """`before`, `during` and `after` are seconds of traffic around the fault."""

    vendor: str
    mode: Kind
    circumstance: Circumstance
    before: float = 1.0
    during: float = 4.0
    after: float = 2.0
    retry_after: int | None = None

    @property
    def outcome(self) -> Outcome:
        """`all`: the vendor has everything once it is well. `letters`: it refused for good, which
        is counted, and has everything after `stack replay`. `refused`: it took batches in part.
        `set aside`: what waited in the file that was spoiled is lost, and the file kept.
        """
        if self.circumstance == "spoiled queue":
            return "set aside"
        if self.mode == "400":
            return "letters"
        return "refused" if self.mode == "partial" or self.mode in STAMPS else "all"

    @property
    def rough(self) -> bool:
        """Whether it needs the bench that has names, TLS and a small disk."""
        return self.mode in TROUBLES or self.circumstance == "full disk"

    @property
    def ails(self) -> bool:
        """Whether the vendor takes less, or later, than it should. A wrong clock is put right by
        AWS's client at its second try.
        """
        return self.mode not in {"slow", "unprocessed", "clock"}

    @property
    def id(self) -> str:
        waits = f" Retry-After {self.retry_after}" if self.retry_after is not None else ""
        return f"{self.vendor}, {self.mode}{waits}, {self.circumstance}"


def table() -> list[Case]:
    """Every vendor by its modes by the circumstances, and what is not a matter of modes."""
    cases = [
        Case(vendor, mode, circumstance)
        for circumstance in CIRCUMSTANCES
        for vendor, modes in VENDORS.items()
        for mode in modes
    ]
    cases += [
        Case(vendor, mode, "steady", retry_after=2) for vendor in VENDORS for mode in ("429", "503")
    ]
    again: tuple[Circumstance, ...] = ("steady", *RESTARTS)
    for vendor in VENDORS:
        cases += [Case(vendor, one, when) for one in ALSO_ACROSS_RESTARTS for when in again]
        cases += [
            Case(vendor, one, "steady") for one in TROUBLES if one not in ALSO_ACROSS_RESTARTS
        ]
        cases += [Case(vendor, one, "full disk") for one in ("hang", "refuse", "400", "429", "500")]
        cases += [Case(vendor, one, "spoiled queue") for one in ("hang", "refuse", "429")]
    for when in again:
        cases += [Case(vendor, "clock", when) for vendor in ("xray", "cloudwatch")]
        cases.append(Case("cloudwatch", "stamps ahead", when))
    cases.append(Case("cloudwatch", "stamps old", "steady"))
    return cases


def quick() -> list[Case]:
    """A few of the table that fail first when something is broken: for each `make test`."""
    return [
        Case("honeycomb", "hang", "steady", before=0.5, during=2, after=0.5),
        Case("honeycomb", "403", "kill -9", before=0.5, during=2, after=0.5),
        Case("honeycomb", "400", "steady", before=0.5, during=2, after=0.5),
        Case("xray", "429", "full disk", before=0.5, during=2, after=0.5),
        Case("xray", "unprocessed", "SIGTERM", before=0.5, during=2, after=0.5),
        Case("xray", "clock", "steady", before=0.5, during=2, after=0.5),
        Case("xray", "TLS unknown CA", "steady", before=0.5, during=2, after=0.5),
        Case("cloudwatch", "400", "steady", before=0.5, during=2, after=0.5),
        Case("cloudwatch", "500", "reload", before=0.5, during=2, after=0.5),
        Case("cloudwatch", "503", "SIGTERM", before=0.5, during=2, after=0.5),
        Case("cloudwatch", "DNS gone", "steady", before=0.5, during=2, after=0.5),
        Case("cloudwatch", "stamps ahead", "steady", before=0.5, during=2, after=0.5),
        Case("cloudwatch", "refuse", "spoiled queue", before=0.5, during=2, after=0.5),
    ]


def short() -> list[Case]:
    """For a second runtime: what depends on how the collector is started and ended."""
    return quick() + [
        Case(vendor, mode, when)
        for vendor in VENDORS
        for mode in ("hang", "503")
        for when in RESTARTS
    ]


def drawn(runs: int, seed: int) -> Iterator[Case]:
    """`runs` cases with random times; equal for an equal seed."""
    rng = random.Random(seed)
    for _ in range(runs):
        vendor = rng.choice(list(VENDORS))
        yield Case(
            vendor,
            rng.choice((*VENDORS[vendor], *TROUBLES)),
            rng.choice((*CIRCUMSTANCES, "full disk")),
            before=rng.uniform(0.0, 2.0),
            during=rng.uniform(1.0, 8.0),
            after=rng.uniform(0.0, 3.0),
            retry_after=rng.choice([None, None, 1, 3]),
        )
