"""One request to the app as part of a trace of our own."""

from __future__ import annotations

import requests

from stack.errors import StackError


def root_span_id(trace_id: str) -> str:
    """The span that a trace of our own begins with."""
    return trace_id[16:]


def get_in_trace(url: str, trace_id: str) -> None:
    """GET `url` with a sampled `traceparent`, below the trace's root.

    Raises StackError unless it answers well.
    """
    traceparent = f"00-{trace_id}-{root_span_id(trace_id)}-01"
    try:
        answer = requests.get(url, headers={"traceparent": traceparent}, timeout=10)
    except requests.RequestException as failed:
        raise StackError(f"{url} does not answer ({failed})", "see `make logs`") from None
    if not answer.ok:
        raise StackError(f"{url} answers {answer.status_code}", "see `make logs`")
