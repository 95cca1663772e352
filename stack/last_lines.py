"""What a service printed last, where its start fails."""

from __future__ import annotations

import os
from collections.abc import Sequence

from stack.console import console, shown
from stack.secrecy import Redactor, secrets_of
from stack.services import Plan

SHOWN = 10


def show_last_lines(plan: Plan, service: str, printed: Sequence[str]) -> None:
    """Print the last of the lines that `service` printed, without the keys that are known here."""
    hide = Redactor(secrets_of(plan.settings, plan.vendors, os.environ))
    lines = [line.rstrip() for line in printed if line.strip()][-SHOWN:]
    if lines:
        console.print(f"  the last lines of {service}:", soft_wrap=True)
    for line in lines:
        console.print(f"    [dim]{shown(hide.text(line))}[/]", soft_wrap=True)
