"""Settings from `EMULATOR_*` variables: the shared ones, and how those of a vendor are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

PREFIX = "EMULATOR"
HIGHEST_PORT = 65_535

Own = TypeVar("Own")


class SettingsError(Exception):
    """A EMULATOR_* variable that cannot be used; the text says which and what it should be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One field for each `EMULATOR_<NAME>` variable that is no vendor's. Port 0: any free port."""

    bind: str = "127.0.0.1"
    control_port: int = 4580

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

    of_vendors: tuple[Any, ...] = field(default=(), metadata={"computed": True})
    """A vendor's own, an instance of its class each; those left out have their defaults."""

    def of(self, kind: type[Own]) -> Own:
        """A vendor's own settings, by their class."""
        return next((own for own in self.of_vendors if isinstance(own, kind)), None) or kind()

    def on_any_ports(self, kinds: Mapping[str, type[Any]]) -> Settings:
        """The same with every port 0. `kinds`: the classes of the vendors' settings by prefix."""
        own = (_any_ports(self.of(kind)) for kind in kinds.values())
        shared: Settings = _any_ports(self)
        return replace(shared, of_vendors=tuple(own))

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


def from_variables(source: Mapping[str, str], kinds: Mapping[str, type[Any]]) -> Settings:
    """Read EMULATOR_* in `source`; unset or empty means the default.

    `kinds`: the vendors' dataclasses by prefix: the field `key` of HONEYCOMB is
    EMULATOR_HONEYCOMB_KEY. One may raise SettingsError when it is made of values that contradict
    each other. Raises SettingsError for an unknown name, and a port or a limit that is no number.
    """
    given = {name: text for name, text in source.items() if name.startswith(f"{PREFIX}_") and text}
    known = names(Settings, PREFIX)
    for prefix, kind in kinds.items():
        known |= names(kind, f"{PREFIX}_{prefix}")
    for name in given:
        if name not in known:
            raise SettingsError(f"{name} is no emulator setting; known: {', '.join(known)}")
    own = (_read(given, kind, f"{PREFIX}_{prefix}") for prefix, kind in kinds.items())
    return replace(_read(given, Settings, PREFIX), of_vendors=tuple(own))


def names(kind: type[Any], prefix: str) -> dict[str, str]:
    """The variables of a dataclass, each with its field."""
    return {
        f"{prefix}_{one.name.upper()}": one.name
        for one in fields(kind)
        if "computed" not in one.metadata
    }


def _read(given: Mapping[str, str], kind: type[Own], prefix: str) -> Own:
    numbers = {one.name for one in fields(kind) if one.type == "int"}  # type: ignore[arg-type]
    return kind(
        **{
            one: _number(name, given[name]) if one in numbers else given[name]
            for name, one in names(kind, prefix).items()
            if name in given
        },
    )


def _any_ports(own: Any) -> Any:
    ports = (one.name for one in fields(own) if one.name.endswith("port"))
    return replace(own, **dict.fromkeys(ports, 0))


def _number(name: str, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise SettingsError(f"{name}={text!r} is not a whole number") from None
    if number < 0 or (name.endswith("_PORT") and number > HIGHEST_PORT):
        raise SettingsError(f"{name}={number} is out of range")
    return number
