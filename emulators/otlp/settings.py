"""EMULATOR_OTLP_*."""

from __future__ import annotations

from dataclasses import dataclass

from emulators.core.settings import SettingsError


@dataclass(frozen=True, slots=True)
class Settings:
    """`tls_…` are files: with a certificate the ports speak TLS, with a client CA they ask for one
    back. Raises SettingsError for a certificate without its key.
    """

    port: int = 4585
    grpc_port: int = 4586
    tls_cert: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""

    def __post_init__(self) -> None:
        """One without the other is of no use."""
        if bool(self.tls_cert) != bool(self.tls_key):
            raise SettingsError("EMULATOR_OTLP_TLS_CERT and EMULATOR_OTLP_TLS_KEY go together")
        if self.tls_client_ca and not self.tls_cert:
            raise SettingsError("EMULATOR_OTLP_TLS_CLIENT_CA needs EMULATOR_OTLP_TLS_CERT")
