"""What is too large for a vendor is cut or counted; behind it comes everybody else's data."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
import requests

from stack.ledger import Entry
from stack.waiting import wait_for
from tests.faults.harness.bench import Bench
from tests.faults.harness.held import ROUTES
from tests.faults.harness.run import look
from tests.faults.harness.sender import Sender
from tests.overload.harness.watch import fresh_trace
from tests.overload.harness.wire import attribute, field, nested, request, span, text

pytestmark = [pytest.mark.collector, pytest.mark.only_native]

MEGABYTE = 1 << 20
AFTER_SECONDS = 60


def traces() -> dict[str, bytes]:
    """Requests that are within every limit of the collector's and beyond one of a vendor's."""
    many = b"".join(field(9, attribute(b"%x" % number, text(b"v" * 200))) for number in range(900))
    long = field(9, attribute(b"url.full", text(b"x" * (7 * MEGABYTE))))
    texts = b"".join(
        field(9, attribute(b"%x" % number, text(b"x" * 60_000))) for number in range(100)
    )
    return {
        "a text of 7 MiB": request(span(long, trace=fresh_trace())),
        "900 attributes of 200": request(span(many, trace=fresh_trace())),
        "100 texts of 60 kB": request(span(texts, trace=fresh_trace())),
        "28 deep": request(span(field(9, attribute(b"deep", nested(28))), trace=fresh_trace())),
        "a name of 1 MiB": request(span(name=b"n" * MEGABYTE, trace=fresh_trace())),
        "no ids": request(field(5, b"nameless")),
    }


def log(body: str) -> dict[str, Any]:
    now = str(time.time_ns())
    records = [{"timeUnixNano": now, "body": {"stringValue": body}}] * 2
    service = {"key": "service.name", "value": {"stringValue": "backend-flask"}}
    return {
        "resourceLogs": [
            {"resource": {"attributes": [service]}, "scopeLogs": [{"logRecords": records}]}
        ]
    }


def test_every_vendor_has_what_comes_after(bench: Bench) -> None:
    # given
    for name, body in traces().items():
        answer = requests.post(
            f"{bench.otlp_url}/v1/traces",
            data=body,
            headers={"Content-Type": "application/x-protobuf"},
            timeout=30,
        )
        assert answer.status_code == 200, (name, answer.text)
    for text_of_log in ("x" * (3 * MEGABYTE), "\0" * 1000, "", json.dumps({"a": ["b"] * 100_000})):
        answer = requests.post(f"{bench.otlp_url}/v1/logs", json=log(text_of_log), timeout=30)
        assert answer.status_code == 200, answer.text

    # when
    with Sender(bench.otlp_url) as sender:
        time.sleep(3)

    # then
    wait_for(
        "every vendor to have all of the healthy sender's",
        lambda: {key: len(held.missing) for key, held in look(bench, sender.sent).items()},
        until=lambda missing: not any(missing.values()),
        seconds=AFTER_SECONDS,
        pause=0.5,
    )
    assert sender.sent.refused == []
    told = wait_for(
        "empty queues",
        bench.ledger,
        until=lambda ledger: not any(ledger[key].queued for key in ROUTES),
        seconds=AFTER_SECONDS,
        pause=0.5,
    )
    print({key: (told[key].failed, told[key].dropped) for key in ROUTES})
    assert_all_accounted_for(told)
    assert sum(letter.header.refused for letter in bench.letters()) == sum(
        told[key].failed for key in ROUTES
    )


def assert_all_accounted_for(told: Mapping[tuple[str, str], Entry]) -> None:
    for key in ROUTES:
        entry = told[key]
        assert entry.accepted == entry.sent + entry.failed + entry.dropped, entry
