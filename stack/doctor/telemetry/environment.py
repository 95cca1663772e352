"""Packages of OpenTelemetry's that do not fit together in a service's environment."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from stack.doctor.telemetry.latest import Flaw
from stack.services import Plan

_CLASH = re.compile(r"^The package `((?:opentelemetry-|otel-stack-).+)$", re.MULTILINE)
"""What other packages ask for is not for us to judge."""

CHECK_SECONDS = 5


def clashes(plan: Plan) -> Iterator[Flaw]:
    """One for each environment that is known here; containers and strangers keep theirs."""
    services: dict[Path, list[str]] = defaultdict(list)
    for process in plan.instrumented:
        if process.python and (process.python.bin / "python").exists():
            services[process.python.bin / "python"].append(process.name)
    for python, names in services.items():
        found = clashes_of(python)
        if found:
            more = f" ({len(found)} in all)" if len(found) > 1 else ""
            yield Flaw(
                " and ".join(names),
                f"cannot rely on OpenTelemetry's packages: {found[0]}{more}",
                "pin those of one release together; "
                f"`.venv/bin/uv pip check --python {python}` lists what does not fit",
            )


def clashes_of(python: Path) -> list[str]:
    """Of one environment, a sentence each."""
    uv = Path(sys.executable).with_name("uv")
    checked = subprocess.run(
        [uv, "pip", "check", "--python", python],
        capture_output=True,
        text=True,
        check=False,
        timeout=CHECK_SECONDS,
    )
    return [clash.replace("`", "") for clash in _CLASH.findall(checked.stdout + checked.stderr)]
