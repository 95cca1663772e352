"""People who visit the backend at a steady pace, each in a trace of their own."""

from __future__ import annotations

import http.client
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

PER_SECOND = 100
AT_ONCE = 32
ANSWER_SECONDS = 20


@dataclass(frozen=True)
class Visit:
    """`answered`: on the monotonic clock. `took`: seconds, from connecting to the last byte."""

    answered: float
    took: float


SPANS_A_VISIT = 7
"""Of `GET /api/activities/home`: six of the backend's, one of profiles-flask."""


@dataclass
class Visits:
    """By trace id; `failed` says what the others met."""

    answered: dict[str, Visit] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


class Visitors:
    """They come while it is entered, or for as long as `come` is told."""

    def __init__(self, url: str) -> None:
        self.visits = Visits()
        self._url = urlsplit(url)
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._clock = threading.Thread(target=self.come, args=(float("inf"),))

    def __enter__(self) -> Self:
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._clock.join()

    def come(self, seconds: float) -> None:
        started = time.monotonic()
        number = 0
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while (due := number / PER_SECOND) < seconds:
                if self._end.wait(max(0.0, started + due - time.monotonic())):
                    break
                pool.submit(self._visit)
                number += 1

    def _visit(self) -> None:
        # X-Ray takes the first eight digits for the time.
        trace = f"{int(time.time()):08x}{secrets.token_hex(12)}"
        # Bare: `requests` takes four times the CPU, on the cores that the app has.
        connection = http.client.HTTPConnection(
            str(self._url.hostname), self._url.port, timeout=ANSWER_SECONDS
        )
        started = time.monotonic()
        try:
            connection.request(
                "GET",
                self._url.path,
                headers={"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"},
            )
            answer = connection.getresponse()
            answer.read()
            met = "" if answer.status == http.client.OK else str(answer.status)
        except (OSError, http.client.HTTPException) as failed:
            met = f"{type(failed).__name__}: {failed}"
        finally:
            connection.close()
        answered = time.monotonic()
        with self._lock:
            if met:
                self.visits.failed.append(met)
            else:
                self.visits.answered[trace] = Visit(answered, answered - started)
