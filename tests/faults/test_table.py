"""Every case of the table: who has what, what was counted, and what the app noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stack.replay import send_again
from stack.waiting import wait_for
from tests.faults.cases import STAMPS
from tests.faults.harness.held import ROUTES, held
from tests.faults.harness.run import ids_in, play

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.cases import Case
    from tests.faults.harness.bench import Bench
    from tests.faults.harness.run import Result

pytestmark = [pytest.mark.collector, pytest.mark.only_native]

NOISE_SECONDS = 2.0
"""What six benches on two cores do to a case's median: at a load of 29 it was 0.9 s longer in one
part of a case than in the other. Requests that wait for a vendor take five seconds or more;
test_isolation.py holds the bounds themselves, over many windows."""


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
        assert result.sent.refused == []
        assert len(result.sent.spans) > 100
        _healthy_have_all_once(result)
        _sick_has_all_or_it_is_counted(bench, result)
        _ledger_told_it(result)
        _app_did_not_notice(result)
        if case.outcome == "letters":
            _replay_brings_the_rest(bench, result)
        verdict = "passed"
    finally:
        recorded(result, verdict)


def _healthy_have_all_once(result: Result) -> None:
    for key in ROUTES:
        if result.sick(key):
            continue
        has = result.held[key]
        assert not has.missing, f"{key} misses {len(has.missing)} of {has.wanted}"
        if result.case.circumstance == "kill -9":
            # A crash between a vendor's answer and the note of it, or before the app's answer,
            # repeats what was on its way: one second's batch and the requests in the air.
            assert has.copies <= 0.3 * has.wanted, f"{key} has {has.copies} copies"
        else:
            assert has.twice <= result.sent.unsure, f"{key} has {has.copies} copies"


def _sick_has_all_or_it_is_counted(bench: Bench, result: Result) -> None:
    for key in ROUTES:
        if not result.sick(key):
            continue
        has, counted = result.held[key], result.counted(key)
        if result.case.outcome == "all":
            assert not has.missing, f"{key} misses {len(has.missing)} of {has.wanted}"
            assert counted == 0
        elif result.case.outcome == "set aside":
            assert has.missing <= result.before_spoiling
            assert list(bench.queues.glob("*.backup"))
            continue
        elif not result.restarts and (result.case.mode not in STAMPS or key[1] == "logs"):
            assert len(has.missing) == counted > 0, f"{key}: {len(has.missing)} missing"
        # What was refused before a restart is no more in the counters, but it is in the letters.
        assert has.missing <= ids_in(result.letters)
        if _lost_its_answers(result):
            assert has.copies <= 0.3 * has.wanted, f"{key} has {has.copies} copies"
        else:
            assert has.copies <= 0.01 * has.wanted, f"{key} has {has.copies} copies"


def _lost_its_answers(result: Result) -> bool:
    """Whether what was on its way may be there twice: a crash does not wait for an answer, and a
    stop not longer than one that takes five seconds.
    """
    return result.case.circumstance == "kill -9" or (
        result.case.mode == "slow" and result.restarts > 0
    )


def _ledger_told_it(result: Result) -> None:
    """While the vendor was away something of its was queued, failed or on its way."""
    told = [
        entry.queued + entry.failed + entry.dropped
        for key, entry in result.during.items()
        if result.sick(key) and key in ROUTES
    ]
    if result.case.ails:
        assert sum(told) > 0, "the ledger showed nothing"
    assert result.met, "nobody met the trouble, or a wrong clock stopped all"


def _app_did_not_notice(result: Result) -> None:
    if not result.restarts:
        well = result.sent.percentile(50, result.well)
        assert result.sent.percentile(50, [result.broken]) <= 1.1 * well + NOISE_SECONDS


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
