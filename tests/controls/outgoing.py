"""docs/security.md, "What goes out": each control taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.controls.taken_out import TakenOut

CASES: tuple[TakenOut, ...] = ()
