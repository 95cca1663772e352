"""Requests that are part of a trace which the test made up, so that it can be found again."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import requests

REQUEST_SECONDS = 15


@dataclass(frozen=True)
class Exchange:
    """A request's answer, and the trace that the request asked to be part of.

    `parent_id`: the span id of the caller that the test plays.
    """

    trace_id: str
    parent_id: str
    response: requests.Response


def send(
    url: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    json: Any = None,
    sampled: bool = True,
) -> Exchange:
    """One request with a `traceparent` of its own; any status is an answer.

    Raises requests.RequestException when there is none.
    """
    trace_id, parent_id = secrets.token_hex(16), secrets.token_hex(8)
    traceparent = f"00-{trace_id}-{parent_id}-{'01' if sampled else '00'}"
    response = requests.request(
        method,
        url,
        headers={**(headers or {}), "traceparent": traceparent},
        json=json,
        timeout=REQUEST_SECONDS,
    )
    return Exchange(trace_id, parent_id, response)


def send_many(url: str, count: int, *, at_once: int = 8) -> list[Exchange]:
    """`count` requests, each in a trace of its own, `at_once` of them at a time."""
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda _: send(url), range(count)))
