"""What is printed past every handler of a log: errors that nobody caught, gunicorn's when a worker
cannot start, warnings.

A key may be in it, as the value of an error, and whatever runs the service keeps what is printed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, TextIO, cast

from otel_stack_distro.redaction import MASK, clean_text, is_secret_name

SHORTEST_KEY = 8
"""What is shorter would hide words of the text itself."""


def cleaned(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """`text` without what looks like a secret, and without the environment's keys, whatever they
    look like.
    """
    for name, value in environ.items():
        if len(value) >= SHORTEST_KEY and is_secret_name(name):
            text = text.replace(value, MASK)
    return clean_text(text)


class _Cleaned:
    """A stream that writes all of it cleaned, and is else what it was.

    Of Python's own pieces of a traceback an error's text is one.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(cleaned(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def clean_stderr() -> None:
    """From now on, in this process and those that it forks. Harmless when done twice."""
    if not isinstance(sys.stderr, _Cleaned):
        sys.stderr = cast("TextIO", _Cleaned(sys.stderr))
