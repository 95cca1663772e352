"""The fault suite's totals: what was delivered, accounted for, and lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stack import faults

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def result(circumstance: str, missing: int, verdict: str = "passed") -> dict[str, Any]:
    case = {"vendor": "xray", "mode": "hang", "circumstance": circumstance, "retry_after": None}
    return {
        "case": case,
        "spans": 100,
        "records": 40,
        "p50_well": 0.002,
        "p50_sick": 0.003,
        "settled": 2.0,
        "held": {"xray/traces": {"wanted": 100, "missing": missing, "copies": 3, "counted": 0}},
        "verdict": verdict,
    }


RESULTS = [
    result("steady", 5),
    result("spoiled queue", 20),
    result("kill -9", 7, "failed"),
]


def test_what_is_missing_is_lost_only_where_nobody_accounts_for_it() -> None:
    total = faults.totals(RESULTS)

    assert total["refused_and_counted"] == 5
    assert total["set_aside"] == 20
    assert (total["failed"], total["lost"]) == (1, 7)
    assert (total["cases"], total["spans"], total["copies"]) == (3, 300, 9)


def test_the_page_has_a_row_a_case_and_keeps_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{faults.BEGIN}old\n{faults.END}after\n")
    monkeypatch.setattr(faults, "PAGE", page)

    faults.write_page(RESULTS, "make faults")

    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| xray hang **failed** | kill -9 | 140 | 7 | 3 / 0 | 2 / 3 | 2 |" in text
