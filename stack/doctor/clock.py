"""Whether this machine's clock is that of the vendors."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from stack.asking import UnreachableError, ask
from stack.doctor.setup import Setup
from stack.finding import About, Finding

SLOPPY = timedelta(seconds=5)
"""Traces of several machines look wrong, and CloudWatch sorts by the record's own time."""

REFUSED = timedelta(minutes=5)
"""From here on AWS refuses every signature."""


def check_clock(setup: Setup) -> Iterator[Finding]:
    """Compare the clock with the Date that live vendors answer with. Sends no key."""
    about = About("clock")
    urls = {vendor.url: vendor.name for vendor in setup.vendors if vendor.live}
    if not urls:
        yield about.ok("no live vendor to compare the clock with; emulators share this machine's")
        return
    silent = []
    for url, name in urls.items():
        try:
            skew = measure(url)
        except UnreachableError as reason:
            silent.append(str(reason))
            continue
        if skew is not None:
            yield judge(about, name, skew)
            return
    yield about.warning(
        f"no vendor says what time it is ({silent[0] if silent else 'no Date in their answers'})",
        "see whether this machine reaches them",
    )


def measure(url: str) -> timedelta | None:
    """How far this clock is ahead (behind: negative); None when the answer has no date.

    Exact to a second, the step of the header, and half the time that the answer took.
    Raises UnreachableError.
    """
    before = datetime.now(UTC)
    # Any answer will do, a 404 too.
    answer = ask("HEAD", url)
    after = datetime.now(UTC)
    try:
        theirs = parsedate_to_datetime(answer.headers.get("Date", ""))
    except ValueError:
        return None
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    # The header is cut down to a second: on average half a second is missing.
    return before + (after - before) / 2 - theirs - timedelta(seconds=0.5)


def judge(about: About, name: str, skew: timedelta) -> Finding:
    size = abs(skew)
    side = "ahead of" if skew > timedelta() else "behind"
    off = f"this machine's clock is {_shown(size)} {side} {name}'s"
    todo = "set the clock, for example by switching time synchronisation (NTP) on"
    if size > REFUSED:
        return about.problem(f"{off}: AWS refuses signatures that are 5 minutes off", todo)
    if size > SLOPPY:
        return about.warning(off, todo)
    return about.ok(f"this machine's clock agrees with {name}'s")


def _shown(size: timedelta) -> str:
    seconds = round(size.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} minutes"  # noqa: PLR2004
