"""Windows in which a vendor is well and windows in which it is sick, in turns of one run."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from tests.faults.harness.held import ROUTES, STANDIN, arrivals
from tests.faults.harness.run import look
from tests.faults.harness.sender import Sender, Sent

if TYPE_CHECKING:
    from standins.faults import Mode
    from tests.faults.harness.bench import Bench
    from tests.faults.harness.held import Held

WINDOW_SECONDS = 2.5
EDGE_SECONDS = 0.5
"""After a change: what began before it ends, and the vendor's connections are made anew."""


@dataclass
class Turns:
    """`well` and `sick`: the windows, of the monotonic clock. `offset` added to it is epoch time.

    `lags`: by healthy vendor and signal, then by id, the seconds from the app's answer to the
    vendor's having it.
    """

    sent: Sent
    well: list[tuple[float, float]] = field(default_factory=list)
    sick: list[tuple[float, float]] = field(default_factory=list)
    lags: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    held: dict[tuple[str, str], Held] = field(default_factory=dict)
    offset: float = 0.0

    def request(self, windows: list[tuple[float, float]], percent: float) -> float:
        """Seconds: the median over the windows of the percentile within each. Infinite for a window
        in which nothing was acknowledged.
        """
        return median(self.sent.percentile(percent, [window]) or math.inf for window in windows)

    def lag(self, key: tuple[str, str], windows: list[tuple[float, float]]) -> float:
        """Seconds: the median over the windows of the median lag of what each acknowledged, as
        `request` for none.
        """
        lags = self.lags[key]
        return median(
            median(
                [
                    lags[name]
                    for name, at in self.sent.acknowledged.items()
                    if name in lags and begin <= at - self.offset < end
                ]
                or [math.inf]
            )
            for begin, end in windows
        )


def take_turns(bench: Bench, vendor: str, mode: Mode, pairs: int) -> Turns:
    """Play `pairs` of windows; the first pair is for warmth and not among those returned."""
    bench.heal()
    bench.client.reset()
    turns = Turns(Sent(), offset=time.time() - time.monotonic())
    with Sender(bench.otlp_url) as sender:
        turns.sent = sender.sent
        for number in range(pairs + 1):
            for sick in (False, True):
                if sick:
                    bench.client.break_(STANDIN[vendor], mode)
                else:
                    bench.heal()
                time.sleep(EDGE_SECONDS)
                begin = time.monotonic()
                time.sleep(WINDOW_SECONDS)
                if number:
                    (turns.sick if sick else turns.well).append((begin, time.monotonic()))
        bench.heal()
        time.sleep(2)
    turns.held = look(bench, sender.sent)
    for key in ROUTES:
        if key[0] != vendor:
            turns.lags[key] = {
                name: at - sender.sent.acknowledged[name]
                for name, at in arrivals(bench.client, *key).items()
                if name in sender.sent.acknowledged
            }
    return turns
