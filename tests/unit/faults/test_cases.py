"""The table of cases, and the ones that are drawn."""

from __future__ import annotations

from emulators.core.faults import STATUS_MODES
from tests.faults.cases import CIRCUMSTANCES, RESTARTS, VENDORS, drawn, quick, short, table
from tests.faults.harness.far import TROUBLES

TABLE = [case.id for case in table()]
ALIKE = {"refuse", "hang", "slow", "reset", *STATUS_MODES}


def test_each_vendor_meets_each_fault_in_each_circumstance() -> None:
    assert len(TABLE) == len({*TABLE}) >= 150
    assert {*VENDORS} == {"honeycomb", "xray", "cloudwatch"}
    assert {*CIRCUMSTANCES} == {"steady", "kill -9", "SIGTERM", "reload", "down at start"}
    wanted = {
        f"{vendor}, {mode}, {circumstance}"
        for vendor, modes in VENDORS.items()
        for mode in ALIKE | {*modes}
        for circumstance in CIRCUMSTANCES
    }
    others = {
        f"{vendor}, {mode}, {circumstance}"
        for vendor in VENDORS
        for mode, circumstance in (
            *((trouble, "steady") for trouble in TROUBLES),
            *(("TLS unknown CA", one) for one in RESTARTS),
            *(("DNS gone", one) for one in RESTARTS),
            *(("hang", one) for one in ("full disk", "spoiled queue")),
        )
    }
    clocks = {
        f"{vendor}, clock, {one}"
        for vendor in ("xray", "cloudwatch")
        for one in ("steady", *RESTARTS)
    }
    assert (wanted | others | clocks) - {*TABLE} == set()


def test_the_shorter_ones_are_of_the_same_kinds() -> None:
    of_quick = {case.id for case in quick()}

    assert of_quick <= {case.id for case in short()}
    assert of_quick <= {*TABLE}


def test_a_seed_draws_the_same_cases_again() -> None:
    once, again, another = (list(drawn(40, seed)) for seed in (7, 7, 8))

    assert once == again
    assert once != another
    # Times too, and a longer run begins with the shorter one's: a failure is found again.
    assert list(drawn(60, 7))[:40] == once
    assert len({case.during for case in once}) > 30
