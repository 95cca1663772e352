"""The vendors' APIs as the operator's own commands reach them, with the keys of each account."""

from __future__ import annotations

from stack.settings import Settings
from stack.vendors import vendor
from stack.vendors.honeycomb.api import Honeycomb

HERE = "127.0.0.1"
"""Where a command, which is never in a container, reaches the emulators."""


def honeycomb(settings: Settings) -> Honeycomb:
    """The Honeycomb team that the collector sends to, or the emulator."""
    played = vendor(settings, "honeycomb", HERE)
    return Honeycomb(played.url, played.collector["HONEYCOMB_API_KEY"])


def is_live(settings: Settings, name: str) -> bool:
    return vendor(settings, name, HERE).live
