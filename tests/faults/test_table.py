"""Every case of the table: who has what, what was counted, and what the app noticed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stack.replay import send_again
from stack.waiting import wait_for
from tests.faults.cases import Case
from tests.faults.harness.bench import Bench
from tests.faults.harness.held import ROUTES, held
from tests.faults.harness.run import Result, play
from tests.faults.harness.verdict import complaints

pytestmark = [pytest.mark.collector, pytest.mark.only_native]


def test_nothing_is_lost(
    request: pytest.FixtureRequest, case: Case, recorded: Callable[[Result, str], None]
) -> None:
    bench: Bench = request.getfixturevalue("rough_bench" if case.rough else "bench")
    if case.circumstance == "full disk" and bench.disk is None:
        pytest.skip("a small disk cannot be mounted here: no right to mount")
    if case.mode in {"DNS gone", "DNS silent"} and not (bench.far and bench.far.resolvable):
        pytest.skip("no name server can be played here: no right to a mount namespace or port 53")

    result = play(bench, case)

    verdict = "failed"
    try:
        assert complaints(result) == []
        if case.outcome == "letters":
            _replay_brings_the_rest(bench, result)
        verdict = "passed"
    finally:
        recorded(result, verdict)


def _replay_brings_the_rest(bench: Bench, result: Result) -> None:
    send_again(one for one in result.letters if not one.in_part)
    for key in ROUTES:
        missing = wait_for(
            f"{key} to hold everything",
            lambda key=key: held(bench.client, result.sent, *key).missing,  # type: ignore[misc]
            until=lambda left: not left,
            seconds=30,
            pause=0.2,
        )
        assert not missing
