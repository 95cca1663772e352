"""What the collector's receivers refuse: whoever sends it may not look at its own log."""

from __future__ import annotations

import time
from collections.abc import Iterator

from stack.doctor.setup import Setup
from stack.finding import About, Finding
from stack.refusals import about, about_rejected, read_refusals
from stack.routes import front_receivers


def check_refusals(setup: Setup) -> Iterator[Finding]:
    """Whether somebody sends what is refused, with the cure."""
    said = About("receivers")
    if not setup.up:
        yield said.ok("the stack is not up")
        return
    refused, rejected = read_refusals(setup.plan.metrics_url, front_receivers(setup.config.tree))
    for refusal in refused:
        yield said.warning(about(refusal, time.time()), refusal.why)
    for left_out in rejected:
        yield said.warning(about_rejected(left_out), "the line of that reason has the sender")
    if not refused and not rejected:
        yield said.ok("no request was refused since the collector's start")
