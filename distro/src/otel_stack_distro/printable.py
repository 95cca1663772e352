"""Anything that an app may log, in the types that JSON has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MOST_BITS = 1024
"""Python itself refuses to write out a number of more than 4,300 digits."""

_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def printable(value: Any, within: tuple[int, ...] = ()) -> Any:
    """A copy without what makes invalid JSON, or none: NaN and the infinities become their names,
    keys and unknown types their text, lone surrogates U+FFFD. Never raises.

    `within`: the containers that hold it, by id. One that holds itself is cut there.
    """
    if value is None or isinstance(value, (bool, bytes)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _NOT_FINITE[str(float(value))]
    if isinstance(value, int) and value.bit_length() <= MOST_BITS:
        return int(value)
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return "…" if id(value) in within else _held(value, (*within, id(value)))
    return text(value)


def _held(value: Any, within: tuple[int, ...]) -> Any:
    try:
        if isinstance(value, Mapping):
            return {text(name): printable(held, within) for name, held in value.items()}
        return [printable(held, within) for held in value]
    except Exception as wrong:  # noqa: BLE001 - a mapping of the app's own may raise anything
        return _unreadable(value, wrong)


def text(value: object) -> str:
    """Its `str()`, whatever that does. Never raises."""
    try:
        written = str(value)
    except Exception as wrong:  # noqa: BLE001 - it is the app's
        return _unreadable(value, wrong)
    try:
        written.encode()
    except UnicodeEncodeError:
        return written.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return written


def _unreadable(value: object, wrong: Exception) -> str:
    return f"<{type(value).__name__} cannot be read: {type(wrong).__name__}>"
