"""The emulators of a running stack, by the names that people call vendors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from emulators.client import Client, EmulatorError
from emulators.core.faults import MODES, Mode
from stack.errors import StackError
from stack.services import Plan
from stack.suggest import suggest


@contextmanager
def emulators(plan: Plan) -> Iterator[Client]:
    """The emulators' control API. Raises StackError when there are none, or they do not answer."""
    if plan.control_url is None:
        raise StackError("every vendor is live, no emulator runs", "take its key out of .env")
    try:
        with Client(plan.control_url) as client:
            yield client
    except EmulatorError as failed:
        raise StackError(str(failed), "see `make status`") from None


def check_breakable(plan: Plan, vendor: str, mode: str) -> tuple[str, Mode]:
    """The emulator's own name for the vendor, and the mode. Raises StackError if it cannot be."""
    found = {each.name: each for each in plan.vendors}
    if vendor not in found:
        raise StackError(f"there is no vendor {vendor}", suggest(vendor, found))
    modes = {str(known): known for known in MODES}
    if mode not in modes:
        raise StackError(f"there is no mode {mode}", suggest(mode, modes))
    if found[vendor].live:
        raise StackError(f"{vendor} is live, nothing plays it", "take its key out of .env")
    return found[vendor].emulator, modes[mode]
