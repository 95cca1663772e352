"""`TRACES_SAMPLER=xray_remote`: X-Ray's rule decides, and a changed rule is followed.

The statistics of Cruddur's own rule are in aws/test_remote_sampling.py; this is the setting, on
either runtime.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from emulators.client import Client
from stack.waiting import wait_for
from tests.integration.harness.account import aws
from tests.integration.harness.checkout import Checkout, running_checkout

REQUESTS = 20

# Three changes, each until a poll of every worker has seen it.
pytestmark = pytest.mark.timeout(500)


@pytest.fixture
def checkout(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Checkout]:
    folder, runtime = tmp_path_factory.mktemp("checkout"), request.config.getoption("--runtime")
    with running_checkout(folder, runtime, TRACES_SAMPLER="xray_remote") as checkout:
        yield checkout


def test_a_changed_rule_changes_what_is_recorded_without_a_restart(checkout: Checkout) -> None:
    # given Cruddur's rule
    assert checkout.run("provision").code == 0
    xray = aws(checkout, "xray")

    def share(emulators: Client) -> float:
        """What part of requests that nobody has decided about is at Honeycomb."""
        before = len(_own(emulators))
        for _ in range(REQUESTS):
            assert requests.get(f"{checkout.url}/api/activities/home", timeout=30).ok
        # Everything is sent within a second; a span that is late shows in the next look.
        wait_for("nothing new", Settled(emulators), seconds=60, pause=1.5)
        return (len(_own(emulators)) - before) / REQUESTS

    with Client(f"http://127.0.0.1:{checkout.ports['EMULATOR_CONTROL_PORT']}") as emulators:
        for rate in (1.0, 0.0, 1.0):
            # when
            xray.update_sampling_rule(
                SamplingRuleUpdate={"RuleName": "Cruddur", "FixedRate": rate, "ReservoirSize": 0}
            )
            # then
            wait_for(
                f"a share of {rate}",
                lambda: share(emulators),
                until=lambda seen, wanted=rate: seen == wanted,  # type: ignore[misc]
                seconds=150,
            )


def _own(emulators: Client) -> set[str]:
    return {span.split(":")[0] for span in emulators.ids("honeycomb")}


class Settled:
    """True when called while no trace has come since the last call."""

    def __init__(self, emulators: Client) -> None:
        self._emulators = emulators
        self._seen = -1

    def __call__(self) -> bool:
        before, self._seen = self._seen, len(_own(self._emulators))
        return before == self._seen
