"""What a process or a thread says as it dies: Python prints it past every handler of a log.

A key may be in it, as the value of an error, and whatever runs the service keeps what is printed.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from typing import TYPE_CHECKING

from serving.redaction import MASK, clean_text, is_secret_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

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


def clean_last_words() -> None:
    """From now on, for errors that nobody caught. Harmless when done twice."""
    sys.excepthook = _of_process
    threading.excepthook = _of_thread


def _of_process(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    sys.stderr.write(cleaned("".join(traceback.format_exception(kind, error, trace))))


def _of_thread(args: threading.ExceptHookArgs) -> None:
    # A thread that ends itself is no error.
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        name = args.thread.name if args.thread else "unknown"
        sys.stderr.write(f"Exception in thread {name}:\n")
        _of_process(args.exc_type, args.exc_value, args.exc_traceback)
