"""What CloudWatch Logs checks in a batch of events beyond its model, and moto does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from emulators.aws.vendor import AwsError

MAX_BATCH = 1024 * 1024
MAX_MESSAGE = 1024 * 1024 - 26
# What each event costs beyond its message.
OVERHEAD = 26
DAY_MS = 24 * 3600 * 1000
OLDEST_MS = 14 * DAY_MS
NEWEST_MS = 2 * 3600 * 1000
RETENTION_DAYS = frozenset(
    {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922}
    | {3288, 3653},
)

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """The events that are taken, and `rejectedLogEventsInfo` for the others (empty for none)."""

    events: list[Event]
    rejected: dict[str, int]


def check(events: list[Event], now_ms: int, retention_days: int | None = None) -> Batch:
    """Sort a batch into what is taken and what is rejected. Raises AwsError for the whole batch."""
    size = 0
    last: int | None = None
    for event in events:
        size += _size(event)
        if last is not None and event["timestamp"] < last:
            raise _invalid(
                "Log events in a single PutLogEvents request must be in chronological order.",
            )
        last = event["timestamp"]
    if size > MAX_BATCH:
        raise _invalid(f"Upload too large: {size} bytes exceeds limit of {MAX_BATCH}")
    if events[-1]["timestamp"] - events[0]["timestamp"] > DAY_MS:
        raise _invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 "
            "hours.",
        )
    return _in_time(events, now_ms, retention_days)


def check_retention(days: int) -> None:
    """Raises AwsError for a number of days that is not among the documented ones."""
    if days not in RETENTION_DAYS:
        raise _invalid(f"retentionInDays {days} is not one of {sorted(RETENTION_DAYS)}")


def _size(event: Event) -> int:
    # JSON may escape halves of characters, which have no UTF-8.
    size = len(event["message"].encode(errors="replace"))
    if size > MAX_MESSAGE:
        raise _invalid(f"Log event too large: {size} bytes exceeds limit of {MAX_MESSAGE}")
    return size + OVERHEAD


def _in_time(events: list[Event], now_ms: int, retention_days: int | None) -> Batch:
    # Chronological, so that each rejection is one cut. End indexes are exclusive.
    too_old = sum(event["timestamp"] < now_ms - OLDEST_MS for event in events)
    kept_ms = OLDEST_MS if retention_days is None else retention_days * DAY_MS
    expired = sum(event["timestamp"] < now_ms - kept_ms for event in events)
    too_new = sum(event["timestamp"] > now_ms + NEWEST_MS for event in events)
    rejected: dict[str, int] = {}
    if too_old:
        rejected["tooOldLogEventEndIndex"] = too_old
    if expired > too_old:
        rejected["expiredLogEventEndIndex"] = expired
    if too_new:
        rejected["tooNewLogEventStartIndex"] = len(events) - too_new
    return Batch(events[max(too_old, expired) : len(events) - too_new], rejected)


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)
