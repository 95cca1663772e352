"""Spans that came more than once, or that two instrumentations made of one request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from stack.doctor.telemetry.latest import Flaw, Latest, by_service, last_end

SHARE, FEW = 0.2, 3
"""A batch whose answer was lost is sent again; that is no flaw."""


def copied_spans(record: Latest) -> Iterator[Flaw]:
    """The same ids again and again."""
    for service, spans in by_service(record.spans).items():
        ids = Counter((span.trace_id, span.span_id) for span in spans)
        copied = {key for key, copies in ids.items() if copies > 1}
        if len(copied) >= FEW and len(copied) >= SHARE * len(ids):
            yield Flaw(
                service,
                f"sends {len(copied)} of {len(ids)} spans more than once",
                "one exporter is enough: take the one in its code out, or OTEL_TRACES_EXPORTER, or "
                "a second collector in between",
                last_end(span for span in spans if (span.trace_id, span.span_id) in copied),
            )


def doubled_servers(record: Latest) -> Iterator[Flaw]:
    """A server span right below another one of the same process."""
    servers = {
        (span.trace_id, span.span_id): span for span in record.spans if span.kind == "SERVER"
    }
    for service, spans in by_service(servers.values()).items():
        doubled = []
        for span in spans:
            above = servers.get((span.trace_id, span.parent_id))
            if above and above.resource == span.resource:
                doubled.append((above, span))
        if len(doubled) >= FEW:
            above, span = doubled[-1]
            yield Flaw(
                service,
                f"records {len(doubled)} requests twice, by {above.scope} and {span.scope}",
                "take one of them out: `…Instrumentor().instrument_app(…)` in its code, or "
                "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
                last_end(span for _, span in doubled),
            )
