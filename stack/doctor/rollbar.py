"""Rollbar: whether it answers, and takes the token."""

from __future__ import annotations

from collections.abc import Iterator

from stack.doctor.asking import UnreachableError, ask, excerpt
from stack.doctor.finding import About, Finding
from stack.doctor.honeycomb import HEAL, played
from stack.doctor.setup import Setup

TOKEN = "ROLLBAR_ACCESS_TOKEN"  # noqa: S105 - the setting's name


def check_rollbar(setup: Setup) -> Iterator[Finding]:
    """Send Rollbar an empty item: it looks at the token first, and keeps nothing."""
    about = About("rollbar")
    vendor = setup.vendor("rollbar")
    if not setup.reachable(vendor):
        yield played(about, "Rollbar", vendor)
        return
    who = "Rollbar" if vendor.live else "the emulator for Rollbar"
    unwell = "see https://status.rollbar.com" if vendor.live else HEAL
    local = not vendor.live
    try:
        ping = ask("GET", f"{vendor.url}status/ping", local=local)
        if not ping.ok:
            said = f"{ping.status_code}: {excerpt(ping)}"
            yield about.problem(f"{who} is not well: its ping answers {said}", unwell)
            return
        answer = ask(
            "POST",
            f"{vendor.url}item/",
            local=local,
            headers={"X-Rollbar-Access-Token": vendor.app[TOKEN]},
            json={},
        )
    except UnreachableError as silent:
        todo = "see whether this machine reaches it" if vendor.live else HEAL
        yield about.problem(f"{who} does not answer: {silent}", todo)
        return
    said = f"{answer.status_code}: {excerpt(answer)}"
    if answer.status_code in {401, 403}:
        todo = "copy the project's post_server_item token" if vendor.live else HEAL
        yield about.problem(f"{who} refuses {TOKEN} ({said})", todo)
    elif answer.status_code == 429:  # noqa: PLR2004
        yield about.warning(f"{who} has had too many items ({said})", "see its rate limit")
    elif answer.ok or answer.status_code in {400, 422}:
        # What it complains of then is the empty item.
        yield about.ok(f"{who} takes {TOKEN}")
    else:
        yield about.problem(f"{who} answers {said}", unwell)
