"""The proof that the stack works: requests whose traces reach the local record."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from stack.errors import StackError
from stack.otlp_json import VERIFY_SERVICE, send, span
from stack.services import COLLECTOR, Plan
from stack.telemetry import RECORD, Span, read_spans, size
from stack.traced_request import get_in_trace
from stack.waiting import DeadlineError, wait_for


@dataclass(frozen=True)
class Proof:
    """`asked`: the service, or the collector. `seconds`: from its answer to the last of the trace's
    spans in the file.
    """

    asked: str
    trace_id: str
    spans: tuple[Span, ...]
    seconds: float


def prove(plan: Plan, deadline: float = 60) -> list[Proof]:
    """Ask each service that people call, as part of a trace of our own, and wait until it is on
    disk; without any, send the collector a trace.

    Raises StackError that says how far the trace came.
    """
    if not plan.verified:
        itself = frozenset({VERIFY_SERVICE})
        return [_prove(plan, COLLECTOR, partial(_send, plan), itself, deadline)]
    return [
        _prove(
            plan,
            process.name,
            partial(get_in_trace, f"{process.url}{process.proof_path}"),
            plan.names_in_trace(process),
            deadline,
        )
        for process in plan.verified
    ]


def _send(plan: Plan, trace_id: str) -> None:
    send(plan.otlp_url, "traces", span(VERIFY_SERVICE, trace_id, "up"), plan.access)


def _prove(
    plan: Plan, asked: str, ask: Callable[[str], None], expected: frozenset[str], deadline: float
) -> Proof:
    trace_id = secrets.token_hex(16)
    record = plan.telemetry_dir / RECORD["traces"]
    offset = size(record)
    ask(trace_id)
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
            f"{asked} answers, but no span of {missing} reached {record} within {deadline:g} s; "
            f"{came or 'none of this trace did'}",
            "see `make logs`",
        ) from late
    return Proof(asked, trace_id, tuple(spans), time.monotonic() - answered)
