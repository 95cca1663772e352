"""HTTP questions to vendors and to the stack: short, never followed elsewhere, failures named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from stack.errors import cut

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 3.0
LONGEST_EXCERPT = 200


class UnreachableError(Exception):
    """No answer came; the text says why, without the request's headers."""


class Answer(Protocol):
    """Of requests' `Response`, which takes a quarter of a second to import, what is used here."""

    status_code: int
    headers: Any
    request: Any

    @property
    def ok(self) -> bool: ...

    @property
    def is_redirect(self) -> bool: ...

    @property
    def text(self) -> str: ...

    def json(self) -> Any: ...


def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    seconds: float | None = None,
) -> Answer:
    """One request, for an answer within `seconds`. What is on this machine is asked past any proxy.

    Raises UnreachableError.
    """
    import requests  # noqa: PLC0415

    seconds = seconds or ANSWER_SECONDS
    url_parts = urlsplit(url)
    with requests.Session() as session:
        session.trust_env = url_parts.hostname != "127.0.0.1"
        try:
            return session.request(
                method,
                url,
                headers=headers,
                json=json,
                timeout=(CONNECT_SECONDS, seconds),
                # requests takes only Authorization away on the way to another host.
                allow_redirects=False,
            )
        except requests.exceptions.RequestException as failed:
            raise UnreachableError(f"{url_parts.netloc} {_why(failed, seconds)}") from None


def _why(failed: Exception, seconds: float) -> str:
    from requests import exceptions  # noqa: PLC0415

    if isinstance(failed, exceptions.SSLError):
        return f"shows a certificate that is not trusted here ({_root(failed)})"
    if isinstance(failed, exceptions.ProxyError):
        return f"is not let through by the proxy ({_root(failed)})"
    if isinstance(failed, exceptions.ConnectTimeout):
        return f"cannot be reached within {CONNECT_SECONDS:g} s"
    if isinstance(failed, exceptions.Timeout):
        return f"gives no answer within {seconds:g} s"
    return f"cannot be reached ({_root(failed)})"


def _root(failed: BaseException) -> str:
    """The innermost reason: "connection refused" rather than the pool that met it."""
    seen: BaseException = failed
    while True:
        inner = seen.__cause__ or seen.__context__ or getattr(seen, "reason", None)
        if not isinstance(inner, BaseException):
            break
        seen = inner
    if isinstance(seen, OSError) and seen.strerror:
        return seen.strerror.lower()
    return " ".join(str(seen).split()) or type(seen).__name__


def excerpt(answer: Answer) -> str:
    """The vendor's own reason where its JSON has one, else the beginning of what it said.
    Credentials that it was shown and repeats are left out.
    """
    return cut(_without_credentials(_reason(answer), answer), LONGEST_EXCERPT)


def _without_credentials(text: str, answer: Answer) -> str:
    """In base64 a key is no longer found by what hides keys elsewhere."""
    shown = answer.request.headers.get("Authorization", "") if answer.request else ""
    # The scheme is a word of its own: Basic, Bearer.
    return text.replace(shown.split()[-1], "****") if shown else text


def _reason(answer: Answer) -> str:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if isinstance(body, dict):
        for key in ("error", "message", "detail", "title"):
            if isinstance(body.get(key), str) and body[key]:
                return str(body[key])
    return answer.text
