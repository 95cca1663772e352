"""Services without a name of their own, and two that share one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from stack.doctor.telemetry.latest import Flaw, Latest, by_service, last_end
from stack.telemetry import Log, Span

DEFAULT = "unknown_service"
SDK_LANGUAGE = "telemetry.sdk.language"


def default_names(record: Latest) -> Iterator[Flaw]:
    """No `service.name`, or the one that SDKs give to what has none."""
    spans, logs = by_service(record.spans), by_service(record.logs)
    for service in sorted({*spans, *logs}):
        if service and not service.startswith(DEFAULT):
            continue
        times = [one.time for one in logs.get(service, [])]
        items: list[Span | Log] = [*spans.get(service, []), *logs.get(service, [])]
        last = max(last_end(spans.get(service, [])), *times, 0)
        yield Flaw(
            service or "a service without a name",
            f"has no name of its own{_who(items[-1].resource)}",
            "start it with OTEL_SERVICE_NAME=…; `make env SERVICE=…` prints all that it needs",
            last,
        )


def _who(resource: Mapping[str, Any]) -> str:
    """What else says who it is."""
    names = ("host.name", "process.pid", "process.command", SDK_LANGUAGE)
    known = [f"{name}={resource[name]}" for name in names if resource.get(name)]
    return f" ({', '.join(known)})" if known else ""


def shared_names(record: Latest) -> Iterator[Flaw]:
    """One name for programs that cannot be workers of one service: in two languages, or with
    requests that are served by two frameworks, none of which is in both programs.
    """
    for service, spans in by_service(record.spans).items():
        # Only within its namespace a name is one service's.
        namespaces: dict[str, list[Span]] = defaultdict(list)
        for span in spans:
            namespaces[str(span.resource.get("service.namespace", ""))].append(span)
        for group in namespaces.values():
            apart = _languages(group) or _frameworks(group)
            if apart:
                yield Flaw(
                    service,
                    f"is the name of two services, one {' and one '.join(apart)}",
                    "give each an OTEL_SERVICE_NAME of its own",
                    last_end(group),
                )


def _languages(spans: list[Span]) -> list[str]:
    languages = {str(span.resource.get(SDK_LANGUAGE, "")) for span in spans} - {""}
    return [f"in {language}" for language in sorted(languages)] if len(languages) > 1 else []


def _frameworks(spans: list[Span]) -> list[str]:
    served: dict[object, set[str]] = defaultdict(set)
    for span in spans:
        instance = span.resource.get("service.instance.id")
        if span.kind == "SERVER" and instance and span.scope:
            served[instance].add(span.scope)
    kinds = sorted({tuple(sorted(scopes)) for scopes in served.values()})
    if any(set(one) & set(other) for one in kinds for other in kinds if one != other):
        return []
    return [f"served by {', '.join(one)}" for one in kinds] if len(kinds) > 1 else []
