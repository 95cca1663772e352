"""What a played case has to hold: who has what, what was counted, and what the app noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.cases import STAMPS
from tests.faults.harness.held import ROUTES
from tests.faults.harness.run import ids_in, troubled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.harness.run import Key, Result

NOISE_SECONDS = 2.0
"""What six benches on two cores do to a case's median: at a load of 29 it was 0.9 s longer in one
part of a case than in the other. Requests that wait for a vendor take five seconds or more;
test_isolation.py holds the bounds themselves, over many windows."""

FEWEST_SPANS = 100
"""Of a case that says anything."""

CRASH = 0.3
"""Of what a vendor is owed may be there twice after a crash between its answer and the note of it:
one second's batch and the requests in the air."""

SICK_TWICE = 0.01


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
    if len(sent.spans) <= FEWEST_SPANS:
        yield f"{len(sent.spans)} spans say nothing"
    if not result.restarts:
        well, sick = (sent.percentile(50, when) for when in (result.well, [result.broken]))
        if sick > 1.1 * well + NOISE_SECONDS:
            yield f"the app waited: p50 {sick:.2f} s, and {well:.2f} s with no vendor sick"


def _of_a_healthy(result: Result, key: Key) -> Iterator[str]:
    has = result.held[key]
    if has.missing:
        yield f"{key}, healthy, misses {len(has.missing)} of {has.wanted}"
    if result.case.circumstance == "kill -9":
        too_many = has.copies > CRASH * has.wanted
    else:
        too_many = not has.twice <= result.sent.unsure
    if too_many:
        yield f"{key}, healthy, has {has.copies} copies"


def _of_the_sick(result: Result, key: Key) -> Iterator[str]:
    case, has, counted = result.case, result.held[key], result.counted(key)
    match case.outcome:
        case "all":
            accounted: frozenset[str] | set[str] = set()
            if counted:
                yield f"{key}, sick, counts {counted} as lost"
        case "set aside":
            accounted = result.before_spoiling
            if not result.set_aside:
                yield f"{key}, sick: the spoiled file was not kept"
        case _:
            # What was refused before a restart is in no counter any more, but in the letters.
            accounted = ids_in(result.letters)
            concerned = case.mode not in STAMPS or key[1] == "logs"
            if not result.restarts and concerned and not len(has.missing) == counted > 0:
                yield f"{key}, sick, misses {len(has.missing)} and counts {counted}"
    if silent := has.missing - accounted:
        yield f"{key}, sick, misses {len(silent)} of {has.wanted} silently"
    if has.copies > (CRASH if _lost_its_answers(result) else SICK_TWICE) * has.wanted:
        yield f"{key}, sick, has {has.copies} copies"


def _lost_its_answers(result: Result) -> bool:
    """Whether what was on its way may be there twice: a crash does not wait for an answer, and a
    stop not longer than one that takes five seconds.
    """
    return result.case.circumstance == "kill -9" or (
        result.case.mode == "slow" and result.restarts > 0
    )


def _of_the_ledger(result: Result) -> Iterator[str]:
    """While the vendor was away something of its was queued, failed or on its way."""
    if result.case.ails and not troubled(result.case, result.during):
        yield "the ledger showed nothing"
    if not result.met:
        yield "nobody met the trouble, or nothing came through a wrong clock"
