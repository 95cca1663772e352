"""What a played case has to hold: who has what, what was counted, and what the app noticed."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.harness.held import ROUTES
from tests.faults.harness.run import Key, Result, untroubled

NOISE_SECONDS = 2.0
"""What six benches on two cores do to a case's median: at a load of 29 it was 0.9 s longer in one
part of a case than in the other. Requests that wait for a vendor take five seconds or more;
test_isolation.py holds the bounds themselves, over many windows."""

FEWEST = 100
"""Items of each signal, of a case that says anything."""

CRASH = 0.3
"""Of what a vendor is owed may be there twice after a crash between its answer and the note of it:
one second's batch and the requests in the air."""

SICK_TWICE = 0.01

ADDED_UP = ("cloudwatch", "metrics")
"""Where a copy is no second line, but a wrong number."""


def complaints(result: Result) -> list[str]:
    """What the case did not hold, a line each; nothing where all is well.

    tests/unit/faults/test_verdict.py shows that each line is said, and of what alone.
    """
    return [
        *_of_the_app(result),
        *(line for key in ROUTES if not result.sick(key) for line in _of_a_healthy(result, key)),
        *(line for key in ROUTES if result.sick(key) for line in _of_the_sick(result, key)),
        *_of_the_ledger(result),
    ]


def _of_the_app(result: Result) -> Iterator[str]:
    sent = result.sent
    if sent.refused:
        yield f"{len(sent.refused)} requests of the app failed: {sent.refused[0]}"
    for signal, ids in sent.ids.items():
        if len(ids) <= FEWEST:
            yield f"{len(ids)} acknowledged of {signal} say nothing"
    if not result.restarts:
        well, sick = (sent.percentile(50, when) for when in (result.well, [result.broken]))
        if sick > 1.1 * well + NOISE_SECONDS:
            yield f"the app waited: p50 {sick:.2f} s, and {well:.2f} s with no vendor sick"


def _of_a_healthy(result: Result, key: Key) -> Iterator[str]:
    has = result.held[key]
    if has.missing:
        yield f"{key}, healthy, misses {len(has.missing)} of {has.wanted}"
    if _too_many(result, key):
        yield f"{key}, healthy, has {has.copies:g} copies"


def _of_the_sick(result: Result, key: Key) -> Iterator[str]:
    case, has, counted = result.case, result.held[key], result.counted(key)
    match case.outcome:
        case "all":
            if counted:
                yield f"{key}, sick, counts {counted} as lost"
        case "set aside":
            if result.set_aside < result.spoiled:
                yield f"{key}, sick: {result.set_aside} of {result.spoiled} spoiled files were kept"
        case _:
            if not result.restarts and not len(has.missing) == counted > 0:
                yield f"{key}, sick, misses {len(has.missing)} and counts {counted}"
    if silent := has.missing - result.accounted(key):
        yield f"{key}, sick, misses {len(silent)} of {has.wanted} silently"
    if _too_many(result, key):
        yield f"{key}, sick, has {has.copies:g} copies"


def _too_many(result: Result, key: Key) -> bool:
    """Whether a vendor has more than it was sent: copies, or values that count twice."""
    has = result.held[key]
    if _lost_its_answers(result, key):
        return has.copies > CRASH * has.wanted
    if result.sick(key) and key != ADDED_UP:
        return has.copies > SICK_TWICE * has.wanted
    return not has.twice <= result.sent.unsure


def _lost_its_answers(result: Result, key: Key) -> bool:
    """Whether what was on its way may be there twice: a crash does not wait for an answer, and a
    stop not longer than one that takes five seconds.
    """
    return result.case.circumstance == "kill -9" or (
        result.sick(key) and result.case.mode == "slow" and result.restarts > 0
    )


def _of_the_ledger(result: Result) -> Iterator[str]:
    """While the vendor was away something of each signal was queued, failed or on its way."""
    if result.case.ails and (quiet := untroubled(result.case, result.during)):
        yield f"the ledger showed nothing of {', '.join(quiet)}"
    if not result.met:
        yield "nobody met the trouble, or nothing came through a wrong clock"
