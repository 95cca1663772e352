"""What the fuzz tests try is the same in each run."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.fuzzing import quick


def drawn() -> list[str]:
    found: list[str] = []

    @quick
    @given(text=st.text(max_size=20) | st.integers().map(str))
    def draw(text: str) -> None:
        found.append(text)

    draw()
    return found


def test_what_is_drawn_does_not_depend_on_what_else_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    before = drawn()
    # when a module is loaded that holds constants
    names = [f"constant {number}" for number in range(100)]
    (tmp_path / "full_of_constants.py").write_text(f"NAMES = {names}\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("full_of_constants")
    # then
    assert drawn() == before
