"""Trace ids as OpenTelemetry writes them, and as X-Ray does."""

from __future__ import annotations

import re

PLAIN = re.compile(r"[0-9a-f]{32}")
XRAY = re.compile(r"1-[0-9a-f]{8}-[0-9a-f]{24}")


def hex_trace_id(text: str) -> str | None:
    """The 32 hex digits of an id in either notation, None for anything else."""
    lower = text.lower()
    if XRAY.fullmatch(lower):
        return lower[2:].replace("-", "")
    return lower if PLAIN.fullmatch(lower) else None
