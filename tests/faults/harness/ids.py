"""The names of what is sent, and what each vendor calls it.

A span goes by its ids and a log record by its millisecond: CloudWatch shows no other. A data point
goes by its metric's name and its millisecond, since metrics have no ids.
"""

from __future__ import annotations

from emulators.core.otlp import Request, take

MILLISECOND = 10**6
"""In nanoseconds."""

_EMF_GROUP = "/metrics/"
"""Its events are metrics already; the group is `log_group_name` of `awsemf`."""

_DIMENSIONS = "service.name"


def ids_of(request: Request) -> set[str]:
    """What is in a request of a sender's."""
    found = (from_vendors("honeycomb", item.signal, item.id) for item in take(request)[0])
    return {name for name in found if name}


def from_vendors(vendor: str, signal: str, name: str) -> str | None:
    """Our id for what the vendor's emulator calls `name`; None for what no sender of ours sends."""
    match vendor, signal:
        case _, "traces":
            return name
        case "cloudwatch", "logs":
            return None if name.startswith(_EMF_GROUP) else name.split("/")[-2]
        case "cloudwatch", _:
            metric, dimensions, millisecond = name.rsplit("/", 3)[1:]
            return f"{metric}@{millisecond}" if dimensions == _DIMENSIONS else None
        case _, "logs":
            return str(int(name.rpartition(":")[2]) // MILLISECOND)
        case _:
            metric, _, nanosecond = name.rpartition(":")
            return f"{metric}@{int(nanosecond) // MILLISECOND}"
