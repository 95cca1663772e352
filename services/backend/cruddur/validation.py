"""What a client sends, checked field by field."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from otel_stack_distro.flask.errors import InvalidFields

from cruddur.models import LONGEST_MESSAGE

LONGEST_TERM = 100
HANDLE = re.compile(r"[A-Za-z0-9_]{1,32}")
LIFETIMES = {
    "30-days": timedelta(days=30),
    "7-days": timedelta(days=7),
    "3-days": timedelta(days=3),
    "1-day": timedelta(days=1),
    "12-hours": timedelta(hours=12),
    "3-hours": timedelta(hours=3),
    "1-hour": timedelta(hours=1),
}
DEFAULT_TTL = "7-days"
_FIELDS = frozenset({"handle", "message", "ttl"})


@dataclass(frozen=True)
class NewActivity:
    handle: str
    message: str
    lifetime: timedelta


def new_activity(body: Any) -> NewActivity:
    """From the body of a POST: `{"handle", "message", "ttl"?}`. Raises InvalidFields."""
    if not isinstance(body, dict):
        raise InvalidFields({"body": "has to be a JSON object"})
    handle, message, ttl = body.get("handle"), body.get("message"), body.get("ttl", DEFAULT_TTL)
    wrong = {
        "handle": _wrong_handle(handle),
        "message": _wrong_message(message),
        "ttl": None
        if isinstance(ttl, str) and ttl in LIFETIMES
        else f"has to be one of {', '.join(LIFETIMES)}",
        **{str(name): "is not a field" for name in body.keys() - _FIELDS},
    }
    found = {name: text for name, text in wrong.items() if text}
    if found:
        raise InvalidFields(found)
    return NewActivity(str(handle), str(message).strip(), LIFETIMES[ttl])


def search_term(values: list[str]) -> str:
    """From the query's `term`. Raises InvalidFields."""
    if len(values) != 1 or not values[0].strip():
        raise InvalidFields({"term": "has to be given once and not empty"})
    if len(values[0]) > LONGEST_TERM:
        raise InvalidFields({"term": f"has to be {LONGEST_TERM} characters at most"})
    return values[0].strip()


def _wrong_handle(handle: object) -> str | None:
    if isinstance(handle, str) and HANDLE.fullmatch(handle):
        return None
    return "has to be 1 to 32 letters, digits or _"


def _wrong_message(message: object) -> str | None:
    if not isinstance(message, str) or not message.strip():
        return "has to be a text that is not empty"
    if any("\ud800" <= character <= "\udfff" for character in message):
        # JSON can escape them alone; no store and no exporter can write them.
        return "holds half a character"
    if len(message.strip()) > LONGEST_MESSAGE:
        return f"has to be {LONGEST_MESSAGE} characters at most"
    return None
