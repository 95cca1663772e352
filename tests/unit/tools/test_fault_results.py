"""The fault suite's totals: what was delivered, accounted for, and lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tools import faults


def result(circumstance: str, missing: int, lost: int = 0) -> dict[str, Any]:
    fine = {"wanted": 100, "missing": 0, "lost": 0, "copies": 0, "counted": 0}
    case = {"vendor": "xray", "mode": "hang", "circumstance": circumstance, "retry_after": None}
    return {
        "case": case,
        "acknowledged": {"traces": 100, "metrics": 1000, "logs": 40},
        "p50_well": 0.002,
        "p50_sick": 0.003,
        "settled": 2.0,
        "held": {
            "xray/traces": {**fine, "missing": missing, "lost": lost, "copies": 3},
            "cloudwatch/metrics": {**fine, "wanted": 1000, "copies": 0.5},
        },
        "verdict": "failed" if lost else "passed",
    }


RESULTS = [
    result("steady", 5),
    result("spoiled queue", 20),
    result("kill -9", 9, lost=7),
]


def test_what_is_missing_is_lost_only_where_nobody_accounts_for_it() -> None:
    total = faults.totals(RESULTS)

    assert total.owed["xray/traces"] == faults.Owed(300, accounted=27, lost=7, copies=9)
    assert total.owed["cloudwatch/metrics"] == faults.Owed(3000, copies=1.5)
    assert total.sentence() == (
        "3 cases, 1 failed; 3,420 items acknowledged (300 spans, 3,000 data points, "
        "120 log records); lost outside of what was counted: 7"
    )


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
    assert "| xray hang **failed** | kill -9 | 1,140 | 9 | 3 / 0.5 | 2 / 3 | 2 |" in text
    assert "| cloudwatch metrics | 3,000 | 0 | 0 | 1.5 |" in text
