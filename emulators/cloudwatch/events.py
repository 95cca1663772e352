"""The fields of a log event, as Logs Insights finds them in it."""

from __future__ import annotations

from typing import Any

from emulators.core import strict_json

# What Insights finds in one event at most.
MAX_FIELDS = 1000


def flatten(message: str) -> dict[str, Any]:
    """The members of a JSON message by dotted path; nothing for any other message."""
    if not message.startswith("{"):
        return {}
    try:
        tree = strict_json.loads(message)
    except ValueError:
        return {}
    found: dict[str, Any] = {}
    left: list[tuple[str, Any]] = [("", tree)]
    while left and len(found) < MAX_FIELDS:
        path, value = left.pop()
        if isinstance(value, dict) and value:
            inner = [(f"{path}.{key}" if path else key, one) for key, one in value.items()]
            left.extend(reversed(inner))
        elif isinstance(value, list) and value:
            left.extend(reversed([(f"{path}.{at}", one) for at, one in enumerate(value)]))
        else:
            found[path] = value
    return found
