"""Who may send OTLP, from where, and for how long what they show is good."""

from __future__ import annotations

import time
from collections.abc import Iterator

from stack.applied_config import check_access
from stack.doctor.setup import Setup
from stack.finding import About, Finding
from stack.settings import LOOPBACK

DAY_SECONDS = 86400
SOON_DAYS = 7


def check_senders(setup: Setup) -> Iterator[Finding]:
    """Raises StackError for certificates and tokens that cannot be used."""
    about = About("access")
    access = setup.plan.access
    end = check_access(setup.plan)
    bind = setup.settings.collector.get("OTLP_BIND", LOOPBACK)
    where = "this machine" if bind == LOOPBACK else "every machine that reaches this one"
    shown = [way for way in access.ways if way != "open"]
    who = f"those who have {' and '.join(shown)}" if shown else "every program"
    if bind != LOOPBACK:
        yield about.warning(
            f"OTLP is taken from {who} on {where} (OTLP_BIND={bind})",
            "leave it out unless others are to send; a firewall says which others",
        )
    else:
        yield about.ok(f"OTLP is taken from {who} on {where}")
    days = None if end is None else (end - time.time()) / DAY_SECONDS
    if days is not None and days < SOON_DAYS:
        yield about.warning(
            f"a certificate of OTLP_ACCESS ends in {days:.0f} days", "renew it; then `make up`"
        )
