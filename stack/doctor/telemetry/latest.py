"""What the subjects look at: the newest part of the local record, and what they tell of it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from stack.otlp_json import VERIFY_SERVICE
from stack.telemetry import RECORD, Log, Span, read_logs, read_spans, size

LATEST_BYTES = 4 * 1024 * 1024
"""Of each record: a second of reading."""

LATELY_SECONDS = 3600.0
"""What was put right longer ago is not told any more."""


@dataclass(frozen=True)
class Latest:
    """The spans and log records of the last hour, without those that the stack itself sends."""

    spans: tuple[Span, ...]
    logs: tuple[Log, ...] = ()


@dataclass(frozen=True)
class Flaw:
    """`what`: a sentence that goes on from the service's name. `last`: when it was seen last,
    seconds since 1970; 0 where that says nothing.
    """

    service: str
    what: str
    todo: str
    last: float = 0.0


Item = TypeVar("Item", Span, Log)


def latest(folder: Path) -> Latest:
    """Of a telemetry folder."""
    since = time.time() - LATELY_SECONDS
    files = {signal: folder / RECORD[signal] for signal in ("traces", "logs")}
    begin = {signal: max(0, size(file) - LATEST_BYTES) for signal, file in files.items()}
    spans = read_spans(files["traces"], offset=begin["traces"])
    logs = read_logs(files["logs"], offset=begin["logs"])
    return Latest(
        tuple(one for one in spans if one.end / 1e9 >= since and one.service != VERIFY_SERVICE),
        tuple(one for one in logs if one.time >= since and one.service != VERIFY_SERVICE),
    )


def by_service(items: Iterable[Item]) -> dict[str, list[Item]]:
    """In the order of names."""
    found: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        found[item.service].append(item)
    return dict(sorted(found.items()))


def last_end(spans: Iterable[Span]) -> float:
    """When the latest of them ended, in seconds since 1970."""
    return max((span.end for span in spans), default=0) / 1e9
