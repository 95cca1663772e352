"""A stop has ten seconds, whoever hangs: what is not answered by then waits on the disk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.core.faults import Mode
from stack.waiting import wait_for
from tests.faults.harness.bench import Bench
from tests.faults.harness.held import EMULATOR, ROUTES
from tests.faults.harness.run import look
from tests.faults.harness.sender import Sender

pytestmark = [pytest.mark.collector, pytest.mark.only_native]

UNDER_WAY_SECONDS = 2.0
"""Until each vendor has been asked something that it does not answer."""


@pytest.fixture
def own_bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as started:
        yield started


@pytest.mark.parametrize(
    ("vendors", "mode"),
    [(("xray",), "hang"), (("honeycomb", "xray", "cloudwatch"), "hang")],
    ids=["one", "all"],
)
def test_a_stop_while_vendors_hang(own_bench: Bench, vendors: tuple[str, ...], mode: Mode) -> None:
    for vendor in vendors:
        own_bench.client.break_(EMULATOR[vendor], mode)
    with Sender(own_bench.otlp_url) as sender:
        time.sleep(UNDER_WAY_SECONDS)

    began = time.monotonic()
    own_bench.stop()  # fails when it takes longer than Docker grants
    print(f"{time.monotonic() - began:.1f} s")
    own_bench.heal()
    own_bench.start()

    found = wait_for(
        "every vendor to have all",
        lambda: look(own_bench, sender.sent),
        until=lambda held: not any(one.missing for one in held.values()),
        seconds=60,
        pause=0.5,
    )
    assert sender.sent.refused == []
    assert {key: found[key].copies for key in ROUTES} == dict.fromkeys(ROUTES, 0)
