"""JSON as vendors read it, where Python's own reader takes more and then fails later.

It takes `NaN`, whole numbers that no double holds, and nesting that it reads itself but cannot
write one call deeper: what came in could not be compared, added up or shown.
"""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import Any, NoReturn

# Levels. Protobuf's readers stop at as many.
MAX_DEPTH = 100
# Digits of a whole number that is a double for certain.
_DIGITS = 308

_ALL_BUT_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"?|[^\[\]{}"]+', re.DOTALL)
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}


def loads(text: str | bytes) -> Any:
    """What `text` says. Raises ValueError."""
    if isinstance(text, bytes):
        text = text.decode()
    # Most texts need no closer look.
    if text.count("[") + text.count("{") > MAX_DEPTH:
        brackets = _ALL_BUT_BRACKETS.sub("", text)
        if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
    return json.loads(text, parse_float=_float, parse_int=_int, parse_constant=_no_constant)


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large for a double")
    return number


def _int(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError("a number is too large for a double")
    return int(text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
