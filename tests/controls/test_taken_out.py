"""Each control of docs/security.md is taken out of a copy of the project, and its test is red.

Without `--controls=all` only what is quick: that the table and the cases fit each other, and each
change the file that it changes.
"""

from __future__ import annotations

import pytest

from stack.settings import ROOT
from tests.controls import entrance, incoming, keys, notice, outgoing, supply, vendors
from tests.controls.taken_out import Row, TakenOut, rows

SECTIONS = {
    "Keys": keys.CASES,
    "Who may come in": entrance.CASES,
    "What comes in": incoming.CASES,
    "What goes out": outgoing.CASES,
    "What one vendor can do to the others": vendors.CASES,
    "What is noticed": notice.CASES,
    "Supply chain and accounts": supply.CASES,
}
TABLE = rows()


def _named(section: str, case: TakenOut) -> str:
    numbers = {row.cells[0]: n for n, row in enumerate(_rows_of(section), start=1)}
    return f"{section}, {numbers.get(case.control, 0):02}: {case.what}"


def _rows_of(section: str) -> list[Row]:
    return [row for row in TABLE if row.section == section]


CASES = [
    pytest.param(section, case, id=_named(section, case))
    for section, cases in SECTIONS.items()
    for case in cases
]


def test_each_section_of_the_table_has_its_cases() -> None:
    assert list(dict.fromkeys(row.section for row in TABLE)) == list(SECTIONS)


@pytest.mark.parametrize("section", [name for name, cases in SECTIONS.items() if cases])
def test_each_control_is_taken_out(section: str) -> None:
    taken_out = {case.control for case in SECTIONS[section]}
    assert [row.cells[0] for row in _rows_of(section) if row.cells[0] not in taken_out] == []


@pytest.mark.parametrize(("section", "case"), CASES)
def test_a_case_fits_its_row_and_its_files(section: str, case: TakenOut) -> None:
    [row] = [row for row in _rows_of(section) if row.cells[0] == case.control]
    assert {test.partition("[")[0] for test in case.tests} <= set(row.tests)
    assert case.changes
    assert [misfit for change in case.changes if (misfit := change.misfit(ROOT))] == []


def test_no_two_cases_are_called_the_same() -> None:
    names = [case.id for case in CASES]
    assert len(names) == len(set(names))
