"""Requests that are part of a trace which the test made up, so that it can be found again."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import requests

REQUEST_SECONDS = 30
NAMES_TRIES = 5


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


def send_for_feed(url: str, *, headers: dict[str, str] | None = None) -> Exchange:
    """`send`, of a home feed with names.

    The app waits half a second for profiles-flask and goes on without names; the feed is asked for
    again where a machine that was held up for longer is all that was between.
    """
    for _ in range(NAMES_TRIES):
        exchange = send(url, headers=headers)
        if not exchange.response.ok or has_names(exchange):
            break
    return exchange


def has_names(exchange: Exchange) -> bool:
    """Whether the home feed that was asked for tells who wrote."""
    return all(activity["display_name"] for activity in exchange.response.json())


def send_many(url: str, count: int, *, at_once: int = 8) -> list[Exchange]:
    """`count` requests, each in a trace of its own, `at_once` of them at a time."""
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda _: send(url), range(count)))
