"""One vendor's trouble is neither the app's nor another vendor's: bounds on what either notices.

Windows with and without the trouble take turns, so that the machine's noise is in both. Compared
are medians over windows: on two cores at a load of 7 they differed by less than the floors.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from emulators.core.faults import Mode
from tests.faults.harness.bench import Bench
from tests.faults.harness.windows import noticed, take_turns

pytestmark = [pytest.mark.collector, pytest.mark.only_native]

PAIRS = 4


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


def without_queue(config: str) -> str:
    """X-Ray as upstream's exporter is documented: with no queue."""
    changed = yaml.safe_load(config)
    del changed["exporters"]["awsxray"]["sending_queue"]
    return yaml.safe_dump(changed)


@pytest.mark.broken
def test_the_bounds_see_a_vendor_that_blocks(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.stop()
        bench.config = without_queue(bench.config)
        bench.start()
        turns = take_turns(bench, "xray", "hang", 1)

    assert [line for line in noticed(turns) if line.startswith("p50 of requests")]
