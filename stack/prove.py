"""The proof that the stack works: a request whose trace reaches the local record."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from stack.errors import StackError
from stack.services import Plan
from stack.telemetry import Span, read_spans, size
from stack.traced_request import get_in_trace
from stack.waiting import DeadlineError, wait_for


@dataclass(frozen=True)
class Proof:
    """`seconds`: from the request's answer to the last of its spans in the file."""

    trace_id: str
    spans: tuple[Span, ...]
    seconds: float


def prove(plan: Plan, deadline: float = 60) -> Proof:
    """Request the home feed as part of a trace of our own; wait until its spans are on disk.

    Raises StackError that says how far the trace came.
    """
    expected = frozenset(plan.service_names.values())
    trace_id = secrets.token_hex(16)
    record = plan.telemetry_dir / "traces.jsonl"
    offset = size(record)
    get_in_trace(f"{plan.backend_url}/api/activities/home", trace_id)
    answered = time.monotonic()
    try:
        spans = wait_for(
            "the trace in the local record",
            lambda: read_spans(record, trace_id, offset),
            until=lambda found: {span.service for span in found} >= expected,
            seconds=deadline,
        )
    except DeadlineError as late:
        arrived = {span.service for span in read_spans(record, trace_id, offset)}
        missing = ", ".join(sorted(expected - arrived))
        came = f"this trace has spans of {', '.join(sorted(arrived))}" if arrived else ""
        raise StackError(
            f"the app answers, but no span of {missing} reached {record} within {deadline:g} s; "
            f"{came or 'none of this trace did'}",
            "see `make logs`",
        ) from late
    return Proof(trace_id, tuple(spans), time.monotonic() - answered)
