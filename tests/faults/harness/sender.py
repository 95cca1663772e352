"""An app's exporter: paced requests, tried again as the SDK does, each acknowledged id kept."""

from __future__ import annotations

import json
import math
import secrets
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

import requests

ITEMS = 10
"""Spans, or log records, in a request."""

THREADS = 8
AGAIN = {429, 502, 503, 504}
"""What OTLP calls retryable; the SDK gives up on all else."""

GIVE_UP_SECONDS = 60
LONGEST_PAUSE = 1.0


Windows = Sequence[tuple[float, float]]
"""Beginnings and ends, of the monotonic clock."""

ALWAYS: Windows = ((0.0, math.inf),)


@dataclass
class Sent:
    """`spans` are `<trace id>:<span id>`, `records` the millisecond that each log record carries.

    `unsure`: ids of requests whose connection broke, so that the collector may have them twice.
    `took`: when each request began that was acknowledged at its first try, and its seconds; both
    of the monotonic clock. `acknowledged`: by id, epoch seconds.
    """

    spans: set[str] = field(default_factory=set)
    records: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    took: list[tuple[float, float]] = field(default_factory=list)
    acknowledged: dict[str, float] = field(default_factory=dict)
    tries: int = 0
    refused: list[str] = field(default_factory=list)

    def p99(self) -> float:
        return self.percentile(99)

    def percentile(self, percent: float, within: Windows = ALWAYS) -> float:
        """Seconds, of the requests that began `within`; 0 where there are none."""
        took = sorted(
            seconds
            for began, seconds in self.took
            if any(begin <= began < end for begin, end in within)
        )
        return took[int(len(took) * percent / 100)] if took else 0.0


class Sender:
    """Sends from the moment that it is entered until it is left, then waits for the last answer.

    `clock_ahead`: seconds by which the clock is wrong that stamps what is sent.
    """

    def __init__(
        self, url: str, *, traces_per_second: float = 20, logs_per_second: float = 8
    ) -> None:
        self.sent = Sent()
        self.clock_ahead = 0
        self._url = url
        self._rates = {"traces": traces_per_second, "logs": logs_per_second}
        self._lock = threading.Lock()
        self._own = threading.local()
        # When each request that has no outcome yet began, by its thread.
        self._asking: dict[int, float] = {}
        self._end = threading.Event()
        self._hopeless = False
        self._pool = ThreadPoolExecutor(THREADS)
        # A record's millisecond is its name: CloudWatch shows no other id.
        self._millisecond = int(time.time() * 1000) - 1_000_000
        self._clocks = [
            threading.Thread(target=self._pace, args=(signal, rate))
            for signal, rate in self._rates.items()
            if rate
        ]

    def __enter__(self) -> Self:
        for clock in self._clocks:
            clock.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end.set()
        self._hopeless = kind is not None
        for clock in self._clocks:
            clock.join()
        self._pool.shutdown(cancel_futures=self._hopeless)

    def has_noted(self, until: float) -> bool:
        """Whether the outcome of every request that began before `until`, of the monotonic clock,
        is in `sent`.
        """
        return all(began >= until for began in self._asking.copy().values())

    def _pace(self, signal: str, rate: float) -> None:
        started = time.monotonic()
        number = 0
        while not self._end.wait(max(0.0, started + number / rate - time.monotonic())):
            number += 1
            self._pool.submit(self._send, signal)

    def _send(self, signal: str) -> None:
        ids, body = self._spans() if signal == "traces" else self._records()
        content = json.dumps(body)
        session = self._session()
        deadline = time.monotonic() + GIVE_UP_SECONDS
        pause, tries, reason = 0.1, 0, ""
        while time.monotonic() < deadline and not self._hopeless:
            tries += 1
            started = self._asking[threading.get_ident()] = time.monotonic()
            try:
                answer = session.post(
                    f"{self._url}/v1/{signal}",
                    data=content,
                    headers={"Content-Type": "application/json"},
                    timeout=10,
                )
            except requests.ConnectionError as failed:
                reason = str(failed)
                if "refused" not in reason:
                    with self._lock:
                        self.sent.unsure.update(ids)
            except requests.Timeout as failed:
                reason = str(failed)
                with self._lock:
                    self.sent.unsure.update(ids)
            else:
                reason = f"{answer.status_code} {answer.text}"
                if answer.ok:
                    self._acknowledged(signal, ids, started, tries)
                    return
                if answer.status_code not in AGAIN:
                    break
            finally:
                del self._asking[threading.get_ident()]
            self._end.wait(pause) if not self._end.is_set() else time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        with self._lock:
            self.sent.refused.append(reason)

    def _acknowledged(self, signal: str, ids: set[str], began: float, tries: int) -> None:
        seconds, now = time.monotonic() - began, time.time()
        with self._lock:
            self.sent.acknowledged.update(dict.fromkeys(ids, now))
            (self.sent.spans if signal == "traces" else self.sent.records).update(ids)
            self.sent.tries += tries
            if tries == 1 and signal == "traces":
                self.sent.took.append((began, seconds))

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._own, "session", None)
        if session is None:
            session = self._own.session = requests.Session()
            session.trust_env = False
        return session

    def _spans(self) -> tuple[set[str], dict[str, Any]]:
        now = time.time_ns() + self.clock_ahead * 10**9
        trace = f"{now // 10**9:08x}{secrets.token_hex(12)}"
        spans = [
            {
                "traceId": trace,
                "spanId": secrets.token_hex(8),
                "name": "GET /api/activities/home",
                "kind": 2,
                "startTimeUnixNano": str(now - 5_000_000),
                "endTimeUnixNano": str(now),
                "attributes": [_text("http.request.method", "GET"), _text("http.route", "/api/x")],
            }
            for _ in range(ITEMS)
        ]
        ids = {f"{trace}:{span['spanId']}" for span in spans}
        body = {"resourceSpans": [{**_resource(), "scopeSpans": [{"spans": spans}]}]}
        return ids, body

    def _records(self) -> tuple[set[str], dict[str, Any]]:
        with self._lock:
            first = self._millisecond + self.clock_ahead * 1000
            self._millisecond += ITEMS
        records = [
            {"timeUnixNano": str((first + number) * 10**6), "body": {"stringValue": "home"}}
            for number in range(ITEMS)
        ]
        ids = {str(first + number) for number in range(ITEMS)}
        body = {"resourceLogs": [{**_resource(), "scopeLogs": [{"logRecords": records}]}]}
        return ids, body


def _resource() -> dict[str, Any]:
    return {"resource": {"attributes": [_text("service.name", "backend-flask")]}}


def _text(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}
