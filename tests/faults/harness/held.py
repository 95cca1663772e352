"""What each vendor holds, by the sender's ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from standins.client import Client
    from tests.faults.harness.sender import Sent

ROUTES = (
    ("honeycomb", "traces"),
    ("honeycomb", "logs"),
    ("xray", "traces"),
    ("cloudwatch", "logs"),
)
"""Vendor and signal. Metrics have no ids: tests/faults/test_metrics.py counts them."""

STANDIN = {"honeycomb": "honeycomb", "xray": "xray", "cloudwatch": "aws"}


@dataclass(frozen=True)
class Held:
    """One vendor and signal: `twice` counts the copies beyond the first."""

    wanted: int
    missing: frozenset[str]
    twice: frozenset[str]
    copies: int


def held(client: Client, sent: Sent, vendor: str, signal: str) -> Held:
    # A copy: the sender may still be at work.
    wanted = frozenset(sent.spans if signal == "traces" else sent.records)
    counts: dict[str, int] = {}
    for name, count in client.ids(STANDIN[vendor], signal).items():
        key = _key(vendor, signal, name)
        counts[key] = counts.get(key, 0) + count
    twice = {key for key in wanted if counts.get(key, 0) > 1}
    return Held(
        wanted=len(wanted),
        missing=frozenset(key for key in wanted if key not in counts),
        twice=frozenset(twice),
        copies=sum(counts[key] - 1 for key in twice),
    )


def arrivals(client: Client, vendor: str, signal: str) -> dict[str, float]:
    """When the vendor had each of the sender's ids, in epoch seconds."""
    found = client.arrivals(STANDIN[vendor], signal)
    return {_key(vendor, signal, name): at for name, at in found.items()}


def _key(vendor: str, signal: str, name: str) -> str:
    if signal == "traces":
        return name
    if vendor == "cloudwatch":
        return name.split("/")[-2]
    return str(int(name.rpartition(":")[2]) // 10**6)
