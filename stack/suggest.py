"""What somebody may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggest(wrong: str, known: Iterable[str]) -> str:
    """`did you mean X?`, or the list of what there is."""
    names = list(known)
    close = closest(wrong, names)
    return f"did you mean {close}?" if close else f"it is one of {', '.join(names)}"


def closest(wrong: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known name that is most like `wrong`; "" where none is like it by `cutoff`, up to 1."""
    return next(iter(difflib.get_close_matches(wrong, list(known), n=1, cutoff=cutoff)), "")
