"""Clocks of two machines that do not agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from stack.doctor.telemetry.latest import Flaw, Latest, last_end
from stack.doctor.telemetry.names import SDK_LANGUAGE
from stack.telemetry import Span

SKEW_SECONDS = 0.1
"""Less is a call on one machine, and misleads nobody."""

FEW = 3

BROWSER = "webjs"
"""Its users' clocks are not to be set."""


def skewed_clocks(record: Latest) -> Iterator[Flaw]:
    """A server's clock is behind where it began before its client asked. It is ahead where it
    always began after its client had the answer; now and then, it is a client that gave up.
    """
    clients = {
        (span.trace_id, span.span_id): span
        for span in record.spans
        if span.kind == "CLIENT" and span.resource.get(SDK_LANGUAGE) != BROWSER
    }
    calls: dict[tuple[str, str], list[tuple[Span, Span]]] = defaultdict(list)
    for span in record.spans:
        client = clients.get((span.trace_id, span.parent_id))
        if span.kind == "SERVER" and client and client.service != span.service:
            calls[span.service, client.service].append((client, span))
    for (server, client_service), pairs in sorted(calls.items()):
        behind = max(client.start - span.start for client, span in pairs) / 1e9
        ahead = min(span.start - client.end for client, span in pairs) / 1e9
        if behind > SKEW_SECONDS:
            skew = f"{behind:.1f} s behind"
        elif ahead > SKEW_SECONDS and len(pairs) >= FEW:
            skew = f"at least {ahead:.1f} s ahead of"
        else:
            continue
        yield Flaw(
            server,
            f"has a clock that is {skew} that of {client_service}, which calls it",
            "switch time synchronisation (NTP) on where each of them runs",
            last_end(span for _, span in pairs),
        )
