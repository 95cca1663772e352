"""EMULATOR_GRAFANA_CLOUD_*."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The port; who may write: the stack's number and an access policy's token; and the service
    account's token that reads.
    """

    port: int = 4587
    instance_id: str = "123456"
    token: str = "glc_local-emulator-token-of-no-account"  # noqa: S105 - accepted on loopback only
    read_token: str = "glsa_local_emulator_token_of_no_account"  # noqa: S105 - the same
