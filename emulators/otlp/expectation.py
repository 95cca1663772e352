"""What the generic OTLP emulator demands of its callers: how another vendor would be met."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from emulators.core.guard import same_secret
from emulators.core.otlp import SIGNALS, Signal, Temporality

MIB = 1024 * 1024


class Header(BaseModel):
    """A header whose value must match `pattern` (a regular expression) as a whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pattern: str

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        return pattern


class SigV4(BaseModel):
    """The signature wanted: AWS's signing name, and the region if it matters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: str
    region: str | None = None


class Expectation(BaseModel):
    """One vendor's rules. The default takes any well-formed OTLP on the plain paths.

    `path_prefix` goes before `/v1/<signal>`, `paths` replaces the whole path of a signal. `headers`
    are exact values or patterns, `headers_by_signal` come on top; one missing or wrong is answered
    with `refusal_status`. `max_sent` and `max_plain` are bytes of a request before and after
    decompression. `protocol` closes the other transport.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "any"
    protocol: Literal["http", "grpc", "any"] = "any"
    path_prefix: str = ""
    paths: dict[Signal, str] = Field(default_factory=dict)
    headers: dict[str, str | Header] = Field(default_factory=dict)
    headers_by_signal: dict[Signal, dict[str, str | Header]] = Field(default_factory=dict)
    refusal_status: Literal[400, 401, 403] = 401
    signals: frozenset[Signal] = frozenset(SIGNALS)
    temporality: Temporality | None = None
    encodings: frozenset[Literal["protobuf", "json"]] = frozenset({"protobuf", "json"})
    compressions: frozenset[Literal["none", "gzip", "zstd"]] = frozenset({"none", "gzip", "zstd"})
    max_sent: int = Field(default=20 * MIB, ge=1, le=32 * MIB)
    max_plain: int = Field(default=20 * MIB, ge=1, le=64 * MIB)
    max_items: int | None = Field(default=None, ge=1)
    sigv4: SigV4 | None = None

    def signal_at(self, path: str) -> Signal | None:
        """Which signal a path takes, None for a path that is not here."""
        for signal in SIGNALS:
            if path == self.paths.get(signal, f"{self.path_prefix}/v1/{signal}"):
                return signal
        return None

    def missing_header(self, signal: Signal, sent: Mapping[str, str]) -> str | None:
        """What is wrong with the first header that does not fit, None when all do."""
        for name, wanted in {**self.headers, **self.headers_by_signal.get(signal, {})}.items():
            value = sent.get(name)
            if value is None:
                return f"missing {name!r} header"
            if isinstance(wanted, Header):
                fits = re.fullmatch(wanted.pattern, value) is not None
            else:
                fits = same_secret(wanted, value)
            if not fits:
                return f"wrong {name!r} header"
        return None
