"""A collector with one fragment in its config, and what is sent through it."""

from __future__ import annotations

import contextlib
import copy
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from emulators.client import Client
from stack.fragments import Fragment, load, merge
from stack.settings import ROOT
from tests.unit.collector.running import CONFIG, Collector, attributes, running
from tests.unit.fragments.expectations import AWS, Wanted

Play = Callable[..., AbstractContextManager[tuple[Collector, Client]]]

SECRET = "hush-hush"
SOON = 60
"""Seconds for what takes some tens of milliseconds on an idle machine."""
SENT = {"traces": 1, "logs": 1, "metrics": 4}
"""Spans, records and points of one `send`."""


def fragment(name: str) -> Fragment:
    return load(name, ROOT)


def without(whole: Fragment, *path: str) -> Fragment:
    """The fragment with one key of its tree taken out."""
    tree = copy.deepcopy(dict(whole.tree))
    owner: Any = tree
    for key in path[:-1]:
        owner = owner[key]
    if isinstance(owner, list):
        owner.remove(path[-1])
    else:
        del owner[path[-1]]
    return replace(whole, tree=tree, text=yaml.safe_dump(tree, sort_keys=False))


@contextlib.contextmanager
def collector_with(
    binary: Path, folder: Path, part: Fragment, environment: Mapping[str, str]
) -> Iterator[Collector]:
    """Our collector with the base config and `part`, whose batches leave, and are tried again,
    sooner than in life.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yaml"
    hurried = part.text.replace("flush_timeout: 1s", "flush_timeout: 50ms").replace(
        "{max_elapsed_time: 0}", "{max_elapsed_time: 0, initial_interval: 100ms, max_interval: 1s}"
    )
    config.write_text(merge(CONFIG.read_text(), [replace(part, text=hurried, tree=_tree(hurried))]))
    with running(binary, folder, config, {**AWS, **environment}) as collector:
        yield collector


def addressed(wanted: Wanted, client: Client, certificates: Path) -> dict[str, str]:
    """The fragment's variables with the emulator's addresses in them."""
    ports = client.ports()
    scheme = "http" if wanted.tls == "none" else "https"
    places = {
        "http": f"{scheme}://127.0.0.1:{ports['otlp']}",
        "grpc": f"127.0.0.1:{ports['otlp_grpc']}",
        "certificates": str(certificates),
    }
    filled = {name: value.format(**places) for name, value in wanted.environment.items()}
    if wanted.tls == "server":
        # Go's own way to trust an authority; in life it is a public one.
        filled["SSL_CERT_FILE"] = str(certificates / "ca.pem")
    return filled


def send(collector: Collector, signal: str, trace_id: str) -> None:
    """One span, one log record, or a counter and a histogram at two times, all of one trace.

    Each holds a secret that the cleaning takes out.
    """
    now = time.time_ns()
    if signal == "traces":
        collector.post("traces", spans(trace_id, {"url.query": f"token={SECRET}&page=2"}, now))
    elif signal == "logs":
        record = {
            "timeUnixNano": str(now),
            "traceId": trace_id,
            "spanId": secrets.token_hex(8),
            "severityText": "INFO",
            "body": {"stringValue": f"it said password={SECRET}"},
        }
        collector.post("logs", _resource("Logs", {"logRecords": [record]}))
    else:
        # Two, because a delta is a difference.
        for number, value in enumerate((3, 7)):
            collector.post(
                "metrics", _metrics(trace_id, value, now, now + 1_000_000 * (number + 1))
            )


def spans(
    trace_id: str, values: Mapping[str, Any], now: int, count: int = 1, pad: int = 0
) -> dict[str, Any]:
    """`count` spans of a trace; `pad`: bytes of each that no compression shortens by much."""
    found = [
        {
            "traceId": trace_id,
            "spanId": secrets.token_hex(8),
            "name": "GET /api/activities/home",
            "kind": 2,
            "startTimeUnixNano": str(now),
            "endTimeUnixNano": str(now + 1_000_000),
            "attributes": attributes({**values, "app.pad": secrets.token_hex(pad // 2)}),
        }
        for _ in range(count)
    ]
    return _resource("Spans", {"spans": found})


def _metrics(trace_id: str, value: int, start: int, now: int) -> dict[str, Any]:
    point = {
        "startTimeUnixNano": str(start),
        "timeUnixNano": str(now),
        "attributes": attributes({"verify.trace_id": trace_id, "url.query": f"token={SECRET}"}),
    }
    counter = {
        "name": "app.requests",
        "sum": {
            "aggregationTemporality": 2,
            "isMonotonic": True,
            "dataPoints": [{**point, "asInt": str(value)}],
        },
    }
    histogram = {
        "name": "http.server.request.duration",
        "histogram": {
            "aggregationTemporality": 2,
            "dataPoints": [
                {
                    **point,
                    "count": str(value),
                    "sum": value / 10,
                    "bucketCounts": [str(value), "0"],
                    "explicitBounds": [1.0],
                }
            ],
        },
    }
    return _resource("Metrics", {"metrics": [counter, histogram]})


def _resource(kind: str, scope: Mapping[str, Any]) -> dict[str, Any]:
    service = {"attributes": attributes({"service.name": "backend-flask"})}
    return {f"resource{kind}": [{"resource": service, f"scope{kind}": [{"scope": {}, **scope}]}]}


def _tree(text: str) -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load(text)
    return tree
