"""Honeycomb: live by its key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import SecretStr

from emulators.honeycomb.settings import Settings as Emulated
from stack.asking import Answer, UnreachableError, ask, excerpt
from stack.finding import About, Finding
from stack.vendors.model import (
    Asked,
    Chosen,
    Declaration,
    Examined,
    Port,
    Shape,
    Vendor,
    VendorSettings,
    not_running,
)

NAME = "honeycomb"
KEY = "HONEYCOMB_API_KEY"
UNWELL = "see whether this machine reaches it, and https://status.honeycomb.io"
HOSTS = {"us": "api.honeycomb.io", "eu": "api.eu1.honeycomb.io"}


class Settings(VendorSettings):
    """Of `.env`."""

    honeycomb_api_key: SecretStr | None = None
    honeycomb_region: Literal["us", "eu"] = "us"
    emulator_honeycomb_port: Port = Emulated().port


def vendors(settings: Chosen, emulator_host: str) -> tuple[Vendor, ...]:
    own = settings.of(Settings)
    key = own.honeycomb_api_key
    emulator = f"http://{emulator_host}:{own.emulator_honeycomb_port}"
    url = f"https://{HOSTS[own.honeycomb_region]}" if key else emulator
    return (
        Vendor(
            name=NAME,
            live=key is not None,
            why=f"{KEY} is set" if key else f"{KEY} is not set",
            url=url,
            emulator="honeycomb",
            collector={
                "HONEYCOMB_ENDPOINT": url,
                KEY: key.get_secret_value() if key else Emulated().key,
            },
        ),
    )


def check_honeycomb(setup: Examined) -> Iterator[Finding]:
    """Ask Honeycomb, or its emulator, whose key this is."""
    about = About(NAME)
    vendor = setup.vendor(NAME)
    if not setup.reachable(vendor):
        yield not_running(about, "Honeycomb", vendor)
        return
    asked = Asked(about, vendor, "Honeycomb")
    try:
        answer = ask(
            "GET", f"{vendor.url}/1/auth", headers={"X-Honeycomb-Team": vendor.collector[KEY]}
        )
    except UnreachableError as silent:
        yield asked.problem(f"does not answer: {silent}", UNWELL)
        return
    other = "us" if HOSTS["eu"] in vendor.url else "eu"
    wrong = f"copy the ingest key again, or set HONEYCOMB_REGION={other} if its team is there"
    yield asked.refusal(answer, KEY, wrong=wrong, unwell=UNWELL) or _judge(asked, answer)


VENDOR = Declaration(
    settings=Settings,
    vendors=vendors,
    checks=lambda: {NAME: check_honeycomb},
    shapes={
        KEY: Shape(
            re.compile(
                r"hc[a-z]{2}k_[a-z0-9]{58}|hc[a-z]ic_[a-z0-9]{58}|[0-9a-f]{32}|[A-Za-z0-9]{22}"
            ),
            "an ingest key begins with hcaik_ and has 64 characters, older ones have 22 or 32",
        )
    },
    follows={"HONEYCOMB_ENDPOINT": "HONEYCOMB_REGION"},
    public=(Emulated().key,),
)


def _judge(asked: Asked, answer: Answer) -> Finding:
    """Whose key it is that Honeycomb takes, and whether it may send."""
    try:
        body = answer.json()
        team = body.get("team", {}).get("name", "?")
    except (ValueError, AttributeError):
        return asked.problem(f"answers {answer.status_code}: {excerpt(answer)}", UNWELL)
    environment = body.get("environment", {}).get("name") or "none, it is a Classic key"
    if not body.get("api_key_access", {}).get("events", False):
        return asked.about.problem(
            f"{asked.who} takes {KEY} (team {team}), but the key may not send events",
            "make an ingest key, or give this one the permission to send events",
        )
    return asked.about.ok(f"{asked.who} takes {KEY}: team {team}, environment {environment}")
