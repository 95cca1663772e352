"""What a runtime tells of one service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """`restarts`: how often it ended by itself since the stack went up.

    `detail`: how it ended last, or "".
    """

    name: str
    running: bool
    state: str
    restarts: int
    detail: str = ""
