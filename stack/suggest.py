"""What somebody may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggest(wrong: str, known: Iterable[str]) -> str:
    """`did you mean X?`, or the list of what there is."""
    names = list(known)
    close = difflib.get_close_matches(wrong, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"it is one of {', '.join(names)}"
