"""Honeycomb: whose key it is, and what the key may do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import requests

from stack.doctor.asking import UnreachableError, ask, excerpt
from stack.doctor.finding import About, Finding
from stack.doctor.setup import Setup
from stack.vendors import Vendor

KEY = "HONEYCOMB_API_KEY"
HEAL = "`make heal` ends what `make break` began; else see `make logs`"


def check_honeycomb(setup: Setup) -> Iterator[Finding]:
    """Ask Honeycomb, or its emulator, whose key this is."""
    about = About("honeycomb")
    vendor = setup.vendor("honeycomb")
    if not setup.reachable(vendor):
        yield played(about, "Honeycomb", vendor)
        return
    who = "Honeycomb" if vendor.live else "the emulator for Honeycomb"
    try:
        answer = ask(
            "GET",
            f"{vendor.url}/1/auth",
            local=not vendor.live,
            headers={"X-Honeycomb-Team": vendor.collector[KEY]},
        )
    except UnreachableError as silent:
        yield about.problem(f"{who} does not answer: {silent}", _todo(vendor))
        return
    yield _judge(about, who, answer, vendor, setup.settings.honeycomb_region)


def played(about: About, name: str, vendor: Vendor) -> Finding:
    """What there is to say about a vendor whose emulator does not run at the moment."""
    return about.ok(f"{name} is played by an emulator ({vendor.why}), which comes with `make up`")


def _judge(
    about: About, who: str, answer: requests.Response, vendor: Vendor, region: str
) -> Finding:
    said = f"{answer.status_code}: {excerpt(answer)}"
    if answer.status_code in {401, 403}:
        other = "eu" if region == "us" else "us"
        todo = f"copy the ingest key again, or set HONEYCOMB_REGION={other} if its team is there"
        if not vendor.live:
            todo = HEAL
        return about.problem(f"{who} refuses {KEY} ({said})", todo)
    if answer.status_code == 429:  # noqa: PLR2004
        return about.warning(f"{who} has had too many requests ({said})", "try again in a minute")
    body = _body(answer)
    if not answer.ok or body is None:
        return about.problem(f"{who} answers {said}", _todo(vendor))
    team = body.get("team", {}).get("name", "?")
    environment = body.get("environment", {}).get("name") or "none, it is a Classic key"
    if not body.get("api_key_access", {}).get("events", False):
        return about.problem(
            f"{who} takes {KEY} (team {team}), but the key may not send events",
            "make an ingest key, or give this one the permission to send events",
        )
    return about.ok(f"{who} takes {KEY}: team {team}, environment {environment}")


def _body(answer: requests.Response) -> dict[str, Any] | None:
    try:
        body = answer.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _todo(vendor: Vendor) -> str:
    if not vendor.live:
        return HEAL
    return "see whether this machine reaches it, and https://status.honeycomb.io"
