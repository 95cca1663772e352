"""EMULATOR_XRAY_*."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The port; the keys are those of AWS."""

    port: int = 4582
