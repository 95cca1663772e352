"""Windows in which a vendor is well and windows in which it is sick, in turns of one run."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from statistics import median

from emulators.core.faults import Mode
from tests.faults.harness.bench import Bench
from tests.faults.harness.held import EMULATOR, ROUTES, Held, arrivals
from tests.faults.harness.run import look
from tests.faults.harness.sender import Sender, Sent

WINDOW_SECONDS = 2.5
EDGE_SECONDS = 0.5
"""After a change: what began before it ends, and the vendor's connections are made anew."""

TENTH = 1.1
MEDIAN_FLOOR = 0.005
"""Seconds. Quiet windows had medians of 2 to 3 ms, sick ones 0.4 ms less to 0.2 ms more."""

SLOWEST_FLOOR = 0.025
"""Of p95s from 4 to 14 ms, 9 ms less to 0.1 ms more."""

LAG_FLOOR = 0.1
"""Of half a second, which is the batches' own: 30 ms less to 50 ms more."""


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
                    bench.client.break_(EMULATOR[vendor], mode)
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


def noticed(turns: Turns) -> list[str]:
    """What was above a bound while the vendor was sick."""
    found = []

    def compare(what: str, well: float, sick: float, floor: float) -> None:
        line = f"{what}: {1000 * well:.1f} ms, sick {1000 * sick:.1f} ms"
        print(line)
        if sick > TENTH * well + floor:
            found.append(line)

    for percent, floor in ((50, MEDIAN_FLOOR), (95, SLOWEST_FLOOR)):
        well, sick = turns.request(turns.well, percent), turns.request(turns.sick, percent)
        compare(f"p{percent} of requests", well, sick, floor)
    for key in turns.lags:
        well, sick = turns.lag(key, turns.well), turns.lag(key, turns.sick)
        compare(f"until {' '.join(key)} has it", well, sick, LAG_FLOOR)
    return found
