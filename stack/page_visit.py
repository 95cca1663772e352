"""A click in the page, played by requests: as a browser sends them, and only where one would.

No browser is started: what is verified is the path, and that is all HTTP. The operator's packages
hold nothing that drives one, and a server has none; that the page itself does the same is the
browser suite's to show.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import requests

from stack import otlp_json
from stack.errors import StackError
from stack.services import PAGE, Plan

SECONDS = 10
SCRIPT = "window.CRUDDUR = "


@dataclass(frozen=True)
class Page:
    """What the page knows of its surroundings. `rollbar`: `endpoint` and `token`, or None."""

    origin: str
    backend: str
    collector: str
    rollbar: Mapping[str, str] | None


def open_page(plan: Plan) -> Page:
    """Load the page and what it is told in /config.js. Raises StackError."""
    if plan.page_url is None:
        raise StackError(
            "the page is no part of this stack",
            "put PAGE=on into .env and `make up`, or verify from the app",
        )
    _ask("GET", plan.page_url)
    text = _ask("GET", f"{plan.page_url}/config.js").text.strip()
    try:
        told = json.loads(text.removeprefix(SCRIPT).removesuffix(";"))
        # Empty: the page's own server, which sends on.
        backend, collector = (told[name] or plan.page_url for name in ("backend", "collector"))
        return Page(plan.page_url, backend, collector, told["rollbar"])
    except (ValueError, KeyError, TypeError) as wrong:
        raise StackError(
            f"{plan.page_url}/config.js is not what the page reads ({wrong!r})", "`make up` again"
        ) from None


def click(page: Page, trace_id: str, paths: Iterable[str]) -> frozenset[str]:
    """A click that asks the backend for each of `paths`, in the click's trace; its spans go to the
    collector. Returns the ids of the page's own spans.

    Raises StackError when a browser would not be let through, or somebody says no.
    """
    root = secrets.token_hex(8)
    began = time.time_ns()
    made = [_fetch(page, trace_id, root, path) for path in paths]
    made.append(
        otlp_json.span_body(
            trace_id, root, "click verify", "INTERNAL", start=began, end=time.time_ns()
        )
    )
    _send(
        page,
        "POST",
        f"{page.collector}/v1/traces",
        {"Content-Type": "application/json"},
        otlp_json.spans(PAGE, made),
    )
    return frozenset(str(span["spanId"]) for span in made)


def _fetch(page: Page, trace_id: str, root: str, path: str) -> dict[str, Any]:
    """The span of a request to the backend: the parent of what the backend makes of it."""
    own = secrets.token_hex(8)
    began = time.time_ns()
    _send(page, "GET", f"{page.backend}{path}", {"traceparent": f"00-{trace_id}-{own}-01"})
    return otlp_json.span_body(
        trace_id, own, f"GET {path}", "CLIENT", start=began, end=time.time_ns(), parent_id=root
    )


def report(page: Page, trace_id: str) -> None:
    """An item of the page's own for Rollbar, by the project's client token. Raises as `click`."""
    if page.rollbar is not None:
        _report(page, page.rollbar, trace_id)


def _report(page: Page, rollbar: Mapping[str, str], trace_id: str) -> None:
    item = {
        "environment": "verify",
        "level": "info",
        "platform": "browser",
        "language": "javascript",
        "body": {"message": {"body": "the page's part of `make verify`"}},
        "custom": {"trace_id": trace_id},
        "notifier": {"name": PAGE},
    }
    _send(
        page,
        "POST",
        f"{urljoin(page.origin, rollbar['endpoint']).rstrip('/')}/item/",
        {"Content-Type": "application/json", "X-Rollbar-Access-Token": rollbar["token"]},
        {"data": item},
    )


def _send(page: Page, method: str, url: str, headers: Mapping[str, str], body: Any = None) -> None:
    """One request of the page's. To another origin it comes after the question that a browser asks
    first.
    """
    if url.startswith(f"{page.origin}/"):
        _ask(method, url, {**headers, "Origin": page.origin}, body)
        return
    asked = {
        "Origin": page.origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": ",".join(sorted(name.lower() for name in headers)),
    }
    answer = _ask("OPTIONS", url, asked)
    _check_origin(page, url, answer)
    granted = {
        name.strip().lower()
        for name in answer.headers.get("Access-Control-Allow-Headers", "").split(",")
    }
    for name in headers:
        if name.lower() not in granted and "*" not in granted:
            raise StackError(
                f"{url} takes no {name} from a page: a browser does not send the request",
                "add it to the allowed headers of that service's CORS settings",
            )
    _check_origin(page, url, _ask(method, url, {**headers, "Origin": page.origin}, body))


def _check_origin(page: Page, url: str, answer: requests.Response) -> None:
    allowed = answer.headers.get("Access-Control-Allow-Origin", "")
    if allowed not in {page.origin, "*"}:
        raise StackError(
            f"{url} does not let the page in: its CORS list lacks {page.origin}",
            "`make up` after a changed FRONTEND_PORT; in an own collector config, "
            "receivers.otlp.protocols.http.cors",
        )


def _ask(
    method: str, url: str, headers: Mapping[str, str] | None = None, body: Any = None
) -> requests.Response:
    try:
        answer = requests.request(method, url, headers=headers, json=body, timeout=SECONDS)
    except requests.RequestException as failed:
        raise StackError(f"{url} does not answer ({failed})", "see `make logs`") from None
    if not answer.ok:
        raise StackError(f"{method} {url} answers {answer.status_code}", "see `make logs`")
    return answer
