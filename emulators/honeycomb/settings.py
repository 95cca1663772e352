"""EMULATOR_HONEYCOMB_*."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The port, the one key that is taken, and whose it is."""

    port: int = 4581
    key: str = "local-honeycomb-key"
    team: str = "local-team"
    environment: str = "local"
