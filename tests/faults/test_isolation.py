"""One vendor's trouble is neither the app's nor another vendor's: bounds on what either notices.

Windows with and without the trouble take turns, so that the machine's noise is in both. Compared
are medians over windows: on two cores at a load of 7 they differed by less than the floors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.harness.bench import Bench
from tests.faults.harness.windows import take_turns

if TYPE_CHECKING:
    from pathlib import Path

    from standins.faults import Mode
    from tests.faults.harness.windows import Turns

pytestmark = [pytest.mark.collector, pytest.mark.only_native]

TENTH = 1.1
MEDIAN_FLOOR = 0.005
"""Seconds. Quiet windows had medians of 2 to 3 ms, sick ones 0.4 ms less to 0.2 ms more."""

SLOWEST_FLOOR = 0.025
"""Of p95s from 4 to 14 ms, 9 ms less to 0.1 ms more."""

LAG_FLOOR = 0.1
"""Of half a second, which is the batches' own: 30 ms less to 50 ms more."""

PAIRS = 4


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


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.parametrize(
    ("vendor", "mode"),
    [
        ("xray", "hang"),
        ("xray", "429"),
        ("honeycomb", "hang"),
        ("honeycomb", "503"),
        ("cloudwatch", "hang"),
        ("cloudwatch", "429"),
    ],
)
def test_nobody_else_notices(bench: Bench, vendor: str, mode: Mode) -> None:
    turns = take_turns(bench, vendor, mode, PAIRS)

    assert noticed(turns) == []
    assert turns.sent.refused == []


def without_hop(config: str) -> str:
    """X-Ray as upstream's exporter is documented: named in the pipeline, with no queue."""
    changed = config.replace(
        "otlp_http/honeycomb, otlp_http/to_xray]", "otlp_http/honeycomb, awsxray]"
    )
    assert changed != config
    return changed


@pytest.mark.broken
def test_the_bounds_see_a_vendor_that_blocks(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.stop()
        bench.config = without_hop(bench.config)
        bench.start()
        turns = take_turns(bench, "xray", "slow", 1)

    assert [line for line in noticed(turns) if line.startswith("p50 of requests")]
