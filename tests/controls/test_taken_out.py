"""Each control of docs/security.md is taken out of a copy of the project, and its test is red.

Without `--controls=all` only what is quick: that the table and the cases fit each other, and each
change the file that it changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from stack.settings import ROOT
from tests.controls import entrance, incoming, keys, notice, outgoing, supply, vendors
from tests.controls.conftest import Recorder
from tests.controls.inner_run import RUN_SECONDS, run_in_copy
from tests.controls.taken_out import Row, TakenOut, rows

SECTIONS = {
    "Keys": keys,
    "Who may come in": entrance,
    "What comes in": incoming,
    "What goes out": outgoing,
    "What one vendor can do to the others": vendors,
    "What is noticed": notice,
    "Supply chain and accounts": supply,
}
TABLE = rows()


def _rows_of(section: str) -> list[Row]:
    return [row for row in TABLE if row.section == section]


def _named(section: str, case: TakenOut) -> str:
    numbers = {row.cells[0]: number for number, row in enumerate(_rows_of(section), start=1)}
    module = SECTIONS[section].__name__.rpartition(".")[2]
    return f"{module} {numbers.get(case.control, 0):02}: {case.what}"


ALL = [(section, case) for section, module in SECTIONS.items() for case in module.CASES]
CASES = [pytest.param(section, case, id=_named(section, case)) for section, case in ALL]
RUNS = [
    pytest.param(
        section,
        case,
        id=_named(section, case),
        marks=[pytest.mark.alone] if case.alone or case.runtime == "docker" else [],
    )
    for section, case in ALL
]
IN_PLACE = sorted({(section, case.runtime) for section, case in ALL})


def test_each_section_of_the_table_has_its_cases() -> None:
    assert list(dict.fromkeys(row.section for row in TABLE)) == list(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_row_claims_what_its_cases_take_out(section: str) -> None:
    for row in _rows_of(section):
        cases = [case.what for case in SECTIONS[section].CASES if case.control == row.cells[0]]
        assert row.cells[-1] == "; ".join(cases), row.cells[0]


@pytest.mark.parametrize(("section", "case"), CASES)
def test_a_case_fits_its_row_and_its_files(section: str, case: TakenOut) -> None:
    [row] = [row for row in _rows_of(section) if row.cells[0] == case.control]
    assert {test.partition("[")[0] for test in case.tests} <= set(row.tests)
    assert case.changes
    assert [misfit for change in case.changes if (misfit := change.misfit(ROOT))] == []


def test_no_two_cases_are_called_the_same() -> None:
    names = [case.id for case in CASES]
    assert len(names) == len(set(names))


@pytest.mark.taken_out
@pytest.mark.alone
@pytest.mark.timeout(RUN_SECONDS + 60)
@pytest.mark.parametrize(("section", "runtime"), IN_PLACE)
def test_nothing_is_red_while_all_is_in_place(
    section: str, runtime: str, prepared: Callable[[str], None]
) -> None:
    """What is red by itself, or in any copy, proves no control."""
    tests = {
        test for case in SECTIONS[section].CASES if case.runtime == runtime for test in case.tests
    }
    prepared(runtime)
    # when
    seen = run_in_copy([], sorted(tests), runtime)
    # then
    assert not seen.broken, seen.output
    assert not seen.red | seen.errors, seen.output
    ran = {test.partition("[")[0] for test in seen.green}
    assert {test.partition("[")[0] for test in tests} <= ran, seen.output


@pytest.mark.taken_out
@pytest.mark.timeout(RUN_SECONDS + 60)
@pytest.mark.parametrize(("section", "case"), RUNS)
def test_without_the_control_its_test_is_red(
    section: str, case: TakenOut, prepared: Callable[[str], None], recorded: Recorder
) -> None:
    prepared(case.runtime)
    started = time.monotonic()
    # when
    seen = run_in_copy(case.changes, case.tests, case.runtime)
    # then
    why = seen.why_not_red(error_is_red=case.error_is_red)
    recorded(section, case, seen, why, time.monotonic() - started)
    assert not why, f"{why}\n{seen.output}"
