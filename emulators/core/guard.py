"""Keeps web pages away from the emulators.

A page in the developer's browser can send requests to 127.0.0.1. Browsers put an Origin on
anything that could do harm, and a rebound DNS name shows in Host; both are refused.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping


def same_secret(known: str, sent: str) -> bool:
    """Whether `sent` is the secret, told in constant time; `sent` may be no valid Unicode."""
    return hmac.compare_digest(known.encode(), sent.encode(errors="surrogatepass"))


def host_name(host: str) -> str:
    """The name in a Host header: lower case, no port, no brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def refusal(
    headers: Mapping[str, str], allowed: frozenset[str], origins: frozenset[str] = frozenset()
) -> tuple[int, str] | None:
    """Status and reason when the request must not be answered, None when it may be.

    `origins`: the web pages that may ask.
    """
    host = host_name(headers.get("Host", ""))
    if host not in allowed:
        return 421, f"host {host!r} is not served here; add it to EMULATOR_HOSTS if it should be"
    if headers.get("Origin") in origins:
        return None
    # "none" is the user's own address bar.
    if "Origin" in headers or headers.get("Sec-Fetch-Site", "none") != "none":
        return 403, "requests from web pages are not answered"
    return None
