"""HTTP spans whose names and attributes cannot be grouped or searched as others' can."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from stack.console import count
from stack.doctor.telemetry.latest import Flaw, Latest, by_service, last_end
from stack.telemetry import Span

NEW_METHOD, OLD_METHOD, ROUTE = "http.request.method", "http.method", "http.route"
STATUS_CODES = ("http.response.status_code", "http.status_code")

NO_ROUTE_MATCHES = {404, 405}
"""Then there is none to name."""

FEW = 3
"""So many names that differ by an id alone; one is a name with a number in it."""

SHARE = 0.5

_ID = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"  # a UUID
    r"|(?=[a-f0-9]*[0-9])(?<![0-9a-zA-Z])[0-9a-f]{16,}(?![0-9a-zA-Z])"  # a hash, an object's id
    r"|(?<=/)[0-9]+(?![^/?\s])|(?<![0-9a-zA-Z.])[0-9]{4,}(?![0-9a-zA-Z.])"  # a number
)


def old_names(record: Latest) -> Iterator[Flaw]:
    """`http.method` without `http.request.method`."""
    for service, spans in by_service(record.spans).items():
        old = [
            span
            for span in spans
            if OLD_METHOD in span.attributes and NEW_METHOD not in span.attributes
        ]
        if old:
            scopes = ", ".join(sorted({span.scope for span in old} - {""}))
            yield Flaw(
                service,
                f"uses the old names of HTTP's attributes ({OLD_METHOD} for {NEW_METHOD}), in "
                f"{count(len(old), 'span')} of {scopes or 'its own'}",
                "start it with OTEL_SEMCONV_STABILITY_OPT_IN=http, or with the stack's distro, "
                "which sets that; in other languages renew the instrumentation",
                last_end(old),
            )


def names_with_ids(record: Latest) -> Iterator[Flaw]:
    """Names that are the same once ids are taken out."""
    for service, spans in by_service(record.spans).items():
        alike: dict[str, list[Span]] = defaultdict(list)
        for span in spans:
            plain = _ID.sub("{id}", span.name)
            if plain != span.name:
                alike[plain].append(span)
        for plain, found in sorted(alike.items()):
            names = sorted({span.name for span in found})
            if len(names) >= FEW:
                yield Flaw(
                    service,
                    f"has ids in the names of spans: {len(names)} for {plain}, as {names[0]}",
                    "name them after the route, and put the id into an attribute; in code "
                    "`span.update_name(…)`",
                    last_end(found),
                )


def no_route(record: Latest) -> Iterator[Flaw]:
    """Server spans without `http.route`, where a route was found."""
    for service, spans in by_service(record.spans).items():
        served = [
            span
            for span in spans
            if span.kind == "SERVER"
            and {NEW_METHOD, OLD_METHOD} & span.attributes.keys()
            and status_code(span) not in NO_ROUTE_MATCHES
        ]
        without = [span for span in served if not span.attributes.get(ROUTE)]
        if without and len(without) >= SHARE * len(served):
            yield Flaw(
                service,
                f"has no {ROUTE} on {len(without)} of {len(served)} server spans, as "
                f"{without[-1].name}",
                f"install the instrumentation of its framework (`opentelemetry-bootstrap` lists "
                f"it) in place of {without[-1].scope or 'its own'}, or set the attribute",
                last_end(without),
            )


def status_code(span: Span) -> int:
    """0 where there is none."""
    given = next((span.attributes[name] for name in STATUS_CODES if name in span.attributes), 0)
    return int(given) if str(given).isdigit() else 0
