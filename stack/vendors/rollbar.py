"""Rollbar: errors of the app and the page, by tokens of their own; live by the app's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import SecretStr, model_validator

from emulators.rollbar.settings import Settings as Emulated
from stack.asking import UnreachableError, ask, excerpt
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
    revealed,
)

NAME = "rollbar"
TOKEN = "ROLLBAR_ACCESS_TOKEN"  # noqa: S105 - the setting's name
CLIENT_TOKEN = "ROLLBAR_CLIENT_TOKEN"  # noqa: S105 - the same
URL = "https://api.rollbar.com/api/1/"
_TOKEN = re.compile(r"[A-Za-z0-9]{32,160}")


class Settings(VendorSettings):
    """Of `.env`. Everybody who opens the page can read the client token."""

    rollbar_access_token: SecretStr | None = None
    rollbar_client_token: SecretStr | None = None
    emulator_rollbar_port: Port = Emulated().port

    @model_validator(mode="after")
    def _the_apps_token_too(self) -> Settings:
        if self.rollbar_client_token and not self.rollbar_access_token:
            raise ValueError(f"{CLIENT_TOKEN} goes together with {TOKEN}")
        return self


def vendors(settings: Chosen, emulator_host: str) -> tuple[Vendor, ...]:
    own = settings.of(Settings)
    token = own.rollbar_access_token
    port = own.emulator_rollbar_port
    # Browsers are on this machine, whichever runtime plays Rollbar.
    url, for_browsers = (
        URL if token else f"http://{host}:{port}/api/1/" for host in (emulator_host, "127.0.0.1")
    )
    for_pages = revealed(own.rollbar_client_token) if token else Emulated().client_token
    for_apps = {
        "ROLLBAR_ENDPOINT": url,
        TOKEN: token.get_secret_value() if token else Emulated().token,
    }
    return (
        Vendor(
            name=NAME,
            live=token is not None,
            why=f"{TOKEN} is set" if token else f"{TOKEN} is not set",
            url=url,
            emulator="rollbar",
            app=for_apps,
            sdks={"rollbar": for_apps},
            page={"ROLLBAR_ENDPOINT": for_browsers, CLIENT_TOKEN: for_pages} if for_pages else {},
            takes_errors=True,
        ),
    )


def check_rollbar(setup: Examined) -> Iterator[Finding]:
    """Send Rollbar an empty item: it looks at the token first, and keeps nothing."""
    about = About(NAME)
    vendor = setup.vendor(NAME)
    if not setup.reachable(vendor):
        yield not_running(about, "Rollbar", vendor)
        return
    asked = Asked(about, vendor, "Rollbar")
    unwell = "see https://status.rollbar.com"
    try:
        ping = ask("GET", f"{vendor.url}status/ping")
        if not ping.ok:
            said = f"{ping.status_code}: {excerpt(ping)}"
            yield asked.problem(f"is not well: its ping answers {said}", unwell)
            return
        headers = {"X-Rollbar-Access-Token": vendor.app[TOKEN]}
        answer = ask("POST", f"{vendor.url}item/", headers=headers, json={})
    except UnreachableError as silent:
        yield asked.problem(f"does not answer: {silent}", "see whether this machine reaches it")
        return
    wrong = "copy the project's post_server_item token"
    refused = asked.refusal(
        answer, TOKEN, wrong=wrong, unwell=unwell, empty={400, 422}, what="items"
    )
    yield refused or about.ok(f"{asked.who} takes {TOKEN}")


VENDOR = Declaration(
    settings=Settings,
    vendors=vendors,
    checks=lambda: {NAME: check_rollbar},
    shapes={
        TOKEN: Shape(
            _TOKEN, "a project's post_server_item token has 32 letters and digits or more"
        ),
        CLIENT_TOKEN: Shape(
            _TOKEN, "a project's post_client_item token has 32 letters and digits or more"
        ),
    },
    public=(Emulated().token,),
)
