"""What `make controls` prints of what it saw."""

from __future__ import annotations

from typing import Any

from tools.controls import summary


def result(what: str, why: str = "") -> dict[str, Any]:
    return {
        "section": "Keys",
        "control": "no key is shown",
        "what": what,
        "red": {} if why else {"t.py::test_it": "assert 'key' not in said"},
        "why": why,
        "seconds": 2.4,
    }


def test_a_case_that_was_not_red_says_why() -> None:
    lines = summary([result("the redactor"), result("the mode", "not red: t.py::test_it")])

    assert lines == [
        "",
        "Keys",
        "  ✓ no key is shown · the redactor · red: t.py::test_it · 2 s",
        "  ✗ no key is shown · the mode · not red: t.py::test_it · 2 s",
    ]
