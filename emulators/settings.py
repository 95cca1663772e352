"""Ports, keys and limits of the emulators: the one place that holds their defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields


class SettingsError(Exception):
    """A EMULATOR_* variable that cannot be used; the text says which and what it should be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One field for each `EMULATOR_<NAME>` variable. Port 0 means any free port."""

    bind: str = "127.0.0.1"
    control_port: int = 4580
    honeycomb_port: int = 4581
    xray_port: int = 4582
    aws_port: int = 4583
    rollbar_port: int = 4584
    otlp_port: int = 4585
    otlp_grpc_port: int = 4586

    honeycomb_key: str = "local-honeycomb-key"
    honeycomb_team: str = "local-team"
    honeycomb_environment: str = "local"
    rollbar_token: str = "local-rollbar-token"  # noqa: S105 - accepted on loopback only
    rollbar_client_token: str = "local-rollbar-client-token"  # noqa: S105 - the same
    # AWS's own models want at least 16 characters in an access key.
    aws_access_key_id: str = "LOCALEMULATEDAWSKEYID"
    aws_secret_access_key: str = "local-emulator-secret"  # noqa: S105 - accepted on loopback only

    # Names a request may carry in its Host header besides 127.0.0.1, localhost and [::1]: what the
    # collector's container calls this one. Comma separated.
    hosts: str = ""

    # Web pages that may send to Rollbar, as real ones do. Comma separated.
    page_origins: str = ""

    # Both per vendor; the oldest items leave first and are counted.
    max_items: int = 250_000
    max_bytes: int = 96 * 1024 * 1024
    # How many answered requests each vendor remembers.
    max_requests: int = 1_000

    # Files; with a certificate the otlp ports speak TLS, with a client CA they ask for one back.
    otlp_tls_cert: str = ""
    otlp_tls_key: str = ""
    otlp_tls_client_ca: str = ""

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read EMULATOR_* from `env` (the process's by default); unset or empty means the default.

        Raises SettingsError for an unknown EMULATOR_ name, a port or a limit that is no number, and
        a certificate without its key.
        """
        source = os.environ if env is None else env
        known = {f"EMULATOR_{field.name.upper()}": field for field in fields(cls)}
        values: dict[str, str | int] = {}
        for name, text in source.items():
            if not name.startswith("EMULATOR_") or not text:
                continue
            field = known.get(name)
            if field is None:
                raise SettingsError(f"{name} is no emulator setting; known: {', '.join(known)}")
            values[field.name] = _number(name, text) if field.type == "int" else text
        settings = cls(**values)  # type: ignore[arg-type]
        if bool(settings.otlp_tls_cert) != bool(settings.otlp_tls_key):
            raise SettingsError("EMULATOR_OTLP_TLS_CERT and EMULATOR_OTLP_TLS_KEY go together")
        if settings.otlp_tls_client_ca and not settings.otlp_tls_cert:
            raise SettingsError("EMULATOR_OTLP_TLS_CLIENT_CA needs EMULATOR_OTLP_TLS_CERT")
        return settings

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """Every Host name that is answered, lower case, without port."""
        extra = (host.strip().lower() for host in self.hosts.split(","))
        return frozenset({"127.0.0.1", "localhost", "::1", *filter(None, extra)})

    @property
    def allowed_origins(self) -> frozenset[str]:
        """Every page that may send to a vendor that pages send to."""
        origins = (origin.strip() for origin in self.page_origins.split(","))
        return frozenset(filter(None, origins))


def _number(name: str, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise SettingsError(f"{name}={text!r} is not a whole number") from None
    if number < 0 or (name.endswith("_PORT") and number > 65_535):  # noqa: PLR2004
        raise SettingsError(f"{name}={number} is out of range")
    return number
