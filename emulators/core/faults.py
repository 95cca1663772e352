"""How a vendor is told to fail, and what that failure is."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Mode = Literal[
    "hang",  # takes the request, never answers; healing closes the connection
    "slow",  # waits `seconds`, then answers as usual
    "refuse",  # nothing listens, open connections are reset
    "reset",  # reads part of the request, then resets the connection
    "400",
    "401",
    "403",
    "429",
    "500",
    "503",
    "partial",  # success that names a `share` of the items as rejected
    "unprocessed",  # X-Ray's form of the same
    "clock",  # AWS's clock is an hour ahead of the caller's, whose signatures seem expired
]
MODES: tuple[Mode, ...] = get_args(Mode)
CLOCK_AHEAD_SECONDS = 3600.0
STATUS_MODES: frozenset[Mode] = frozenset({"400", "401", "403", "429", "500", "503"})
EVERYWHERE: frozenset[Mode] = STATUS_MODES | {"hang", "slow", "refuse", "reset"}


class Fault(BaseModel):
    """What to do wrong, and for how long.

    `seconds` is the delay of `slow`; `retry_after` (seconds) goes into the header of 429 and 503;
    `count` ends the fault after that many requests, `duration` after that many seconds; `share` is
    how much of a batch `partial` and `unprocessed` reject, rounded up.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Mode
    seconds: float = Field(default=5.0, ge=0, le=3600)
    retry_after: int | None = Field(default=None, ge=0, le=86_400)
    count: int | None = Field(default=None, ge=1)
    duration: float | None = Field(default=None, gt=0, le=86_400)
    share: float = Field(default=0.5, gt=0, le=1)

    @model_validator(mode="after")
    def _refused_requests_cannot_be_counted(self) -> Fault:
        if self.mode == "refuse" and self.count is not None:
            raise ValueError("refuse never sees a request, so it takes duration, not count")
        return self

    def rejected_of(self, total: int) -> int:
        """How many items of a batch of `total` are rejected: at least one."""
        return min(total, math.ceil(total * self.share))


@dataclass(slots=True)
class Faults:
    """The fault a vendor has now, if any."""

    current: Fault | None = None
    hits: int = 0
    _left: int | None = None
    _until: float | None = None
    _healed: asyncio.Event = field(default_factory=asyncio.Event)

    def set(self, fault: Fault) -> None:
        """Have `fault` from now on, in place of any other."""
        self.heal()
        self.current = fault
        self.hits = 0
        self._left = fault.count
        self._until = None if fault.duration is None else time.monotonic() + fault.duration
        self._healed = asyncio.Event()

    def heal(self) -> None:
        """Have no fault; whoever waits in `healed` goes on."""
        self.current = None
        self._healed.set()

    def take(self) -> Fault | None:
        """The fault that the request at hand meets, counted against `count`."""
        fault = self.current
        if fault is None:
            return None
        if self._until is not None and time.monotonic() >= self._until:
            self.heal()
            return None
        self.hits += 1
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                # The event stays unset: those that hang keep hanging until the next heal or set.
                self.current = None
        return fault

    async def healed(self) -> None:
        """Wait until the fault is over."""
        await self._healed.wait()

    def describe(self) -> dict[str, Any] | None:
        """The fault as the control API shows it, None when there is none."""
        if self.current is None:
            return None
        return {**self.current.model_dump(exclude_none=True), "hits": self.hits}
