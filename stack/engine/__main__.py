"""`python -m stack.engine NAME` takes a lease by hand, `python -m stack.engine -r NAME` ends it."""

from __future__ import annotations

import sys

from stack.console import console
from stack.engine import ensure_engine, release

if sys.argv[1:2] == ["-r"]:
    release(sys.argv[2])
else:
    console.print(ensure_engine(sys.argv[1]))
