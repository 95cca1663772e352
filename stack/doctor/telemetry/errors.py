"""Errors that no vendor counts as such."""

from __future__ import annotations

from collections.abc import Iterator

from stack.console import count
from stack.doctor.telemetry.http import status_code
from stack.doctor.telemetry.latest import Flaw, Latest, by_service, last_end
from stack.telemetry import Span

SERVER_ERROR = 500


def errors_without_status(record: Latest) -> Iterator[Flaw]:
    """Spans of an error whose status was left unset; OK is somebody's decision."""
    for service, spans in by_service(record.spans).items():
        unset = [span for span in spans if span.status == "UNSET" and _failed(span)]
        if unset:
            yield Flaw(
                service,
                f"has {count(len(unset), 'span')} of errors without their status, as "
                f"{unset[-1].name}",
                "set it where the error is dealt with: `span.set_status(StatusCode.ERROR)`, "
                "`span.record_exception` alone does not",
                last_end(unset),
            )


def _failed(span: Span) -> bool:
    escaped = (
        str(event.attributes.get("exception.escaped", "")).lower() == "true"
        for event in span.events
        if event.name == "exception"
    )
    return bool(
        status_code(span) >= SERVER_ERROR or span.attributes.get("error.type") or any(escaped)
    )
