"""EMULATOR_AWS_*."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """CloudWatch's port, and the keys that sign for it and for X-Ray."""

    port: int = 4583
    # AWS's own models want at least 16 characters in an access key.
    access_key_id: str = "LOCALEMULATEDAWSKEYID"
    secret_access_key: str = "local-emulator-secret"  # noqa: S105 - accepted on loopback only
