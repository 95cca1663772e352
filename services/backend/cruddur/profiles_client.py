"""Names and pictures, from profiles-flask."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests
from opentelemetry import trace
from urllib3.exceptions import HTTPError, ReadTimeoutError

if TYPE_CHECKING:
    from collections.abc import Collection

logger = logging.getLogger(__name__)

_LARGEST_ANSWER = 1 << 20


@dataclass(frozen=True)
class Profile:
    display_name: str
    picture: str


class ProfilesUnavailableError(Exception):
    """No answer that can be used.

    `reason` is one of few, so that it can be searched and counted: `timeout`, `unreachable`,
    `status_<code>`, `invalid_answer`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ProfilesClient:
    """Asks `base_url`, and waits `timeout` seconds for the whole call.

    requests bounds each read only, so that a service which sends a byte now and then would hold a
    worker for as long as it likes.
    """

    def __init__(self, base_url: str, timeout: float) -> None:
        self._base_url = base_url
        self._timeout = timeout

    def find(self, handles: Collection[str]) -> dict[str, Profile]:
        """Profiles by handle, in one call; unknown handles are left out.

        Empty when profiles-flask does not answer in time: the current span and the log say why.
        """
        if not handles:
            return {}
        try:
            return self._fetch(sorted(set(handles)))
        except ProfilesUnavailableError as unavailable:
            span = trace.get_current_span()
            span.set_attribute("app.profiles.unavailable", unavailable.reason)
            span.add_event("profiles unavailable", {"reason": unavailable.reason})
            logger.warning("the feed goes without names: profiles-flask %s", unavailable.reason)
            return {}

    def _fetch(self, handles: list[str]) -> dict[str, Profile]:
        deadline = time.monotonic() + self._timeout
        try:
            with requests.get(
                f"{self._base_url}/api/profiles",
                params={"handles": ",".join(handles)},
                timeout=self._timeout,
                stream=True,
                allow_redirects=False,
            ) as response:
                if response.status_code != requests.codes.ok:
                    raise ProfilesUnavailableError(f"status_{response.status_code}")
                answer = _read(response, deadline)
        except (requests.Timeout, ReadTimeoutError):
            raise ProfilesUnavailableError("timeout") from None
        except (requests.RequestException, HTTPError):
            raise ProfilesUnavailableError("unreachable") from None
        return _profiles(answer)


def _read(response: requests.Response, deadline: float) -> bytes:
    """The body. `read1` gives what has come; requests' own iterators wait for a whole chunk."""
    answer = bytearray()
    while part := response.raw.read1(_LARGEST_ANSWER, decode_content=True):
        answer += part
        if time.monotonic() >= deadline:
            raise ProfilesUnavailableError("timeout")
        if len(answer) > _LARGEST_ANSWER:
            raise ProfilesUnavailableError("invalid_answer")
    return bytes(answer)


def _profiles(answer: bytes) -> dict[str, Profile]:
    try:
        return {
            str(handle): Profile(str(profile["display_name"]), str(profile["picture"]))
            for handle, profile in json.loads(answer)["profiles"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ProfilesUnavailableError("invalid_answer") from None
