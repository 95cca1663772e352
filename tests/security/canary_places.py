"""Every place of OTLP that can hold a text, as (signal, name, how to put it there)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


def text(value: str) -> Json:
    return {"stringValue": value}


def listed(value: str) -> Json:
    return {"arrayValue": {"values": [text("first"), text(value)]}}


def deep(value: str) -> Json:
    inner = {"kvlistValue": {"values": [{"key": "note", "value": listed(value)}]}}
    return {"kvlistValue": {"values": [{"key": "inner", "value": inner}]}}


def named(key: str, value: Json) -> Json:
    return {"key": key, "value": value}


@dataclass
class Batch:
    """One request of each signal; a place adds to the newest span, record or point in it."""

    service: str
    resource: list[Json] = field(default_factory=list)
    scope: Json = field(default_factory=lambda: {"name": "canary", "attributes": []})
    spans: list[Json] = field(default_factory=list)
    records: list[Json] = field(default_factory=list)
    points: list[Json] = field(default_factory=list)
    metrics: list[Json] = field(default_factory=list)

    def next_items(self) -> None:
        now = time.time_ns()
        self.spans.append(
            {
                "traceId": f"{now // 10**9:08x}{os.urandom(12).hex()}",
                "spanId": os.urandom(8).hex(),
                "name": "canary",
                "kind": 1,
                "startTimeUnixNano": str(now - 10**6),
                "endTimeUnixNano": str(now),
                "attributes": [],
                "events": [],
                "links": [],
                "status": {"code": 2},
            }
        )
        self.records.append({"timeUnixNano": str(now), "attributes": [], "body": text("a line")})
        point = {"timeUnixNano": str(now), "startTimeUnixNano": str(now - 10**9), "asDouble": 1.5}
        self.points.append({**point, "attributes": [], "exemplars": []})
        self.metrics.append(
            {"name": f"canary.{len(self.metrics)}", "gauge": {"dataPoints": [self.points[-1]]}}
        )

    def body(self, signal: str) -> Json:
        whole, scoped, items = {
            "traces": ("resourceSpans", "scopeSpans", {"spans": self.spans}),
            "logs": ("resourceLogs", "scopeLogs", {"logRecords": self.records}),
            "metrics": ("resourceMetrics", "scopeMetrics", {"metrics": self.metrics}),
        }[signal]
        resource = {"attributes": [named("service.name", text(self.service)), *self.resource]}
        return {whole: [{"resource": resource, scoped: [{"scope": self.scope, **items}]}]}


def _span(key: str, form: Callable[[str], Json] = text) -> Callable[[Batch, str], None]:
    return lambda batch, value: batch.spans[-1]["attributes"].append(named(key, form(value)))


def _record(key: str, form: Callable[[str], Json] = text) -> Callable[[Batch, str], None]:
    return lambda batch, value: batch.records[-1]["attributes"].append(named(key, form(value)))


def _event(batch: Batch, name: str, attributes: list[Json]) -> None:
    event = {"name": name, "timeUnixNano": str(time.time_ns()), "attributes": attributes}
    batch.spans[-1]["events"].append(event)


def _link(batch: Batch, **more: Any) -> None:
    ids = {"traceId": os.urandom(16).hex(), "spanId": os.urandom(8).hex()}
    batch.spans[-1]["links"].append({**ids, **more})


def _exemplar(batch: Batch, value: str) -> None:
    exemplar = {"timeUnixNano": str(time.time_ns()), "asDouble": 1.0}
    attributes = [named("note", text(value))]
    batch.points[-1]["exemplars"].append({**exemplar, "filteredAttributes": attributes})


PLACES: dict[str, Callable[[Batch, str], None]] = {
    "URL query": _span("url.query"),
    "URL": _span("url.full"),
    "header": _span("http.request.header.x-note", listed),
    "SQL": _span("db.query.text"),
    "user id": _span("enduser.id"),
    "baggage": _span("baggage.note"),
    "innocent attribute": _span("app.note"),
    "nested attribute": _span("app.nested", deep),
    "span's name": lambda batch, value: batch.spans[-1].update(name=value),
    "status": lambda batch, value: batch.spans[-1]["status"].update(message=value),
    "tracestate": lambda batch, value: batch.spans[-1].update(traceState=f"v={value}"),
    "event's name": lambda batch, value: _event(batch, value, []),
    "event's attribute": lambda batch, value: _event(batch, "e", [named("note", listed(value))]),
    "exception": lambda batch, value: _event(
        batch,
        "exception",
        [
            named("exception.type", text("ValueError")),
            named("exception.message", text(value)),
            named("exception.stacktrace", text(f"Traceback\n  raise\nValueError: {value}\n")),
        ],
    ),
    "link's attribute": lambda batch, value: _link(batch, attributes=[named("n", text(value))]),
    "link's tracestate": lambda batch, value: _link(batch, traceState=f"v={value}"),
    "scope's attribute": lambda batch, value: batch.scope["attributes"].append(
        named(f"note.{len(batch.scope['attributes'])}", text(value))
    ),
    "resource": lambda batch, value: batch.resource.append(
        named(f"note.{len(batch.resource)}", text(value))
    ),
    "log": lambda batch, value: batch.records[-1].update(body=text(value)),
    "log's attribute": _record("note"),
    "log's nested attribute": _record("app.nested", deep),
    "log's severity": lambda batch, value: batch.records[-1].update(severityText=value),
    "log's event name": lambda batch, value: batch.records[-1].update(eventName=value),
    "metric's description": lambda batch, value: batch.metrics[-1].update(description=value),
    "point's attribute": lambda batch, value: batch.points[-1]["attributes"].append(
        named("note", text(value))
    ),
    "exemplar": _exemplar,
}
"""One text each of a span, a record and a metric, or of what they share."""


def structured_log(batch: Batch, value: str) -> None:
    """In place of a line: a mapping with lists in it."""
    batch.records[-1].update(body=deep(value))
