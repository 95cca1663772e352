"""What each vendor holds, by the sender's ids."""

from __future__ import annotations

from dataclasses import dataclass

from emulators.client import Client
from tests.faults.harness.ids import from_vendors
from tests.faults.harness.sender import Sent

ROUTES = (
    ("honeycomb", "traces"),
    ("honeycomb", "metrics"),
    ("honeycomb", "logs"),
    ("xray", "traces"),
    ("cloudwatch", "metrics"),
    ("cloudwatch", "logs"),
)
"""Vendor and signal."""

EMULATOR = {"honeycomb": "honeycomb", "xray": "xray", "cloudwatch": "aws"}


@dataclass(frozen=True)
class Held:
    """One vendor and signal: `twice` are held more than once, `copies` is by how much all together.

    A data point counts as often as its value says: each was sent with a value of 1.
    """

    wanted: int
    missing: frozenset[str]
    twice: frozenset[str]
    copies: float


def held(client: Client, sent: Sent, vendor: str, signal: str) -> Held:
    # A copy: the sender may still be at work.
    wanted = frozenset(sent.ids[signal])
    ask = client.sums if signal == "metrics" else client.ids
    counts: dict[str, float] = {}
    for name, count in ask(EMULATOR[vendor], signal).items():
        if key := from_vendors(vendor, signal, name):
            counts[key] = counts.get(key, 0) + count
    twice = {key for key in wanted if counts.get(key, 0) > 1}
    return Held(
        wanted=len(wanted),
        missing=frozenset(key for key in wanted if counts.get(key, 0) < 1),
        twice=frozenset(twice),
        copies=sum(counts[key] - 1 for key in twice),
    )


def arrivals(client: Client, vendor: str, signal: str) -> dict[str, float]:
    """When the vendor had each of the sender's ids, in epoch seconds."""
    found = client.arrivals(EMULATOR[vendor], signal)
    return {key: at for name, at in found.items() if (key := from_vendors(vendor, signal, name))}
