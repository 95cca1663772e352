"""docs/security.md, "Who may come in": each control taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.controls.taken_out import TakenOut

CASES: tuple[TakenOut, ...] = ()
