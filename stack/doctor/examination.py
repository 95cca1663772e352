"""Runs the checks side by side, each with a deadline, and hides keys in what they say."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stack.doctor.setup import Setup
from stack.errors import StackError
from stack.finding import Finding

Check = Callable[["Setup"], Iterable[Finding]]

CHECK_SECONDS = 6.0
"""With the second or two before the checks, an answer comes within ten seconds."""


@dataclass
class _Running:
    name: str
    thread: threading.Thread | None = None
    findings: list[Finding] = field(default_factory=list)


def examine(
    setup: Setup, checks: Mapping[str, Check], seconds: float = CHECK_SECONDS
) -> list[Finding]:
    """The findings of every check, in the order of `checks`.

    One that raises, or is not done after `seconds`, gives a problem that says so; what it had
    found until then is kept.
    """
    deadline = time.monotonic() + seconds
    running = [_start(name, check, setup) for name, check in checks.items()]
    findings = []
    for one in running:
        if one.thread is not None:
            one.thread.join(max(0.0, deadline - time.monotonic()))
        late = one.thread is not None and one.thread.is_alive()
        findings += list(one.findings)
        if late:
            findings.append(
                Finding(
                    one.name,
                    "problem",
                    f"this check was not done after {seconds:g} s",
                    "what it asks hangs: try again, and look at the network",
                )
            )
    return findings


def _start(name: str, check: Check, setup: Setup) -> _Running:
    one = _Running(name)

    def look() -> None:
        try:
            for finding in check(setup):
                one.findings.append(finding)
        except StackError as error:
            one.findings.append(Finding(name, "problem", error.what, error.todo))
        except Exception as error:  # noqa: BLE001 - told as a finding, with its place
            one.findings.append(_crashed(name, error))

    # A daemon: what hangs must not keep the command from ending.
    one.thread = threading.Thread(target=look, name=f"doctor {name}", daemon=True)
    one.thread.start()
    return one


def _crashed(name: str, error: Exception) -> Finding:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    said = " ".join(str(error).split())
    return Finding(
        name,
        "problem",
        f"this check itself failed: {type(error).__name__}{where}" + (f": {said}" if said else ""),
        "it is a fault of the stack's own command: please report it",
    )
