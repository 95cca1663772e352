"""EMULATOR_ROLLBAR_*."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The port, and the tokens of servers and of browsers."""

    port: int = 4584
    token: str = "local-rollbar-token"  # noqa: S105 - accepted on loopback only
    client_token: str = "local-rollbar-client-token"  # noqa: S105 - the same
