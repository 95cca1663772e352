"""One request that is tried until it is delivered, refused, or out of time."""

from __future__ import annotations

import copy
import email.utils
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.exporter.http.transport._base import BaseHTTPResult, BaseHTTPTransport

from otel_stack_distro.otlp_retry.ending import Ending
from otel_stack_distro.otlp_retry.losses import Reason

RETRYABLE = frozenset({429, 502, 503, 504})
"""What OTLP calls so: https://opentelemetry.io/docs/specs/otlp/#failures-1."""

TRY_SECONDS = 10.0
"""Of one try. A collector that takes longer to answer hangs."""

SHORTEST_TRY_SECONDS = 1.0
"""Past every deadline what is delivered at once still goes out."""

LONGEST_PAUSE = 4.0
LONGEST_RETRY_AFTER = 30.0
"""A proxy's mistake must not silence a service for a day."""

# Not sent through the exporter that it is about: json_logging keeps this name on the console.
_logger = logging.getLogger("opentelemetry.otlp_retry")


@dataclass(frozen=True, slots=True)
class NotDelivered(BaseHTTPResult):
    """Time is up. `error` says what the last try met; no status, or upstream would try again."""

    def content(self) -> bytes:
        return b""

    def headers(self) -> Mapping[str, str]:
        return {}


class CollectorAwayError(Exception):
    """No try was answered in time; the text is one line."""


class RetryingTransport(BaseHTTPTransport):
    """Puts patience around upstream's transport, which knows sessions, TLS and proxies.

    It blocks the thread that exports, never one that serves. `gave_up`: of the last request.
    `asked`: how many requests it was given.
    """

    def __init__(self, inner: BaseHTTPTransport, ending: Ending) -> None:
        self._inner = inner
        self._ending = ending
        self._away_since: float | None = None
        self.gave_up = False
        self.asked = 0
        self._left: list[object] = []

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
        data: bytes | None = None,
    ) -> BaseHTTPResult:
        """Try for `timeout` seconds, for ever if it is None; see BaseHTTPTransport.request."""
        deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
        self.gave_up = False
        self.asked += 1
        tries = 0
        met = "the process ends"
        while not self._ending.hopeless:
            result = self._inner.request(
                method,
                url,
                headers=headers,
                timeout=self._longest(deadline),
                data=data,
            )
            if not self._again(result):
                self._note_answer(url)
                return result
            tries += 1
            met = _met(result)
            # The first failure may be a kept connection that the collector closed meanwhile.
            if tries == 2:  # noqa: PLR2004
                self._note_away(url, met)
            if self._ending.left <= 0:
                self._ending.hopeless = True
                break
            pause = _pause(tries, result)
            if not self._ending.begun and time.monotonic() + pause > deadline:
                break
            self._ending.pause(pause)
        self.gave_up = True
        return NotDelivered(error=CollectorAwayError(f"{url} is away: {met}"))

    @property
    def reason(self) -> Reason:
        """Why what was to be sent last is lost, if it is."""
        return "away" if self.gave_up or self._ending.hopeless else "refused"

    def is_connection_error(self, exception: Exception | None) -> bool:
        """Whether upstream should try again at once: all trying is done here."""
        del exception
        return False

    def close(self) -> None:
        self._inner.close()

    def leave_connections(self) -> None:
        """Connect anew: two processes that speak on one connection spoil each other's requests.

        The old pools stay referenced, since to clear one takes a lock that may have been forked.
        """
        session = getattr(self._inner, "_session", None)
        if session is not None:
            self._left.append(dict(session.adapters))
            for prefix, adapter in list(session.adapters.items()):
                session.mount(prefix, copy.copy(adapter))

    def _longest(self, deadline: float) -> float:
        left = min(deadline - time.monotonic(), self._ending.left)
        return max(SHORTEST_TRY_SECONDS, min(TRY_SECONDS, left))

    def _again(self, result: BaseHTTPResult) -> bool:
        if result.status_code is None:
            return self._inner.is_connection_error(result.error)
        return result.status_code in RETRYABLE

    def _note_away(self, url: str, met: str) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()
            _logger.warning("%s is away (%s); what is to be sent waits in memory", url, met)

    def _note_answer(self, url: str) -> None:
        if self._away_since is not None:
            away = time.monotonic() - self._away_since
            self._away_since = None
            _logger.info("%s answers again after %.0f s", url, away)


def _pause(tries: int, result: BaseHTTPResult) -> float:
    """Full jitter, so that workers that lost one collector together do not come back together."""
    asked = _retry_after(result.headers().get("retry-after"))
    longest = min(LONGEST_PAUSE, 0.25 * 2 ** min(tries, 10))
    return min(asked, LONGEST_RETRY_AFTER) + random.uniform(0, longest)  # noqa: S311


def _retry_after(value: str | None) -> float:
    """Seconds that a Retry-After header asks for; 0 where there is none that can be read."""
    if value is None:
        return 0.0
    if value.strip().isdecimal():
        return float(value)
    when = email.utils.parsedate_tz(value)
    return max(0.0, email.utils.mktime_tz(when) - time.time()) if when else 0.0


def _met(result: BaseHTTPResult) -> str:
    """In few words: requests wraps what the socket said into three exceptions."""
    if result.status_code is not None:
        return f"{result.status_code} {result.reason}"
    error: BaseException | None = result.error
    while error is not None and error.__context__ is not None:
        error = error.__context__
    return f"{type(error).__name__}: {error}"
