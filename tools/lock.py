"""`make lock`: the lock files anew, with hashes and no addresses."""

from __future__ import annotations

import subprocess

from stack.console import step
from stack.errors import StackError
from stack.settings import ROOT
from tools.entry import run_function

LOCKS = (
    "services/requirements",
    "distro/tests/programs/requirements",
    "emulators/requirements",
    "services/frontend/server/requirements",
    "tools/test_machine/requirements",
    "requirements",
    "requirements-dev",
)
OLDEST_PYTHON = "3.11"


def main(upgrade: bool = False) -> None:
    """Pin every package of the *.in files, for every platform and Python from 3.11 on."""
    for lock in LOCKS:
        command = [
            str(ROOT / ".venv/bin/uv"), "pip", "compile", "--quiet", "--universal",
            "--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url",
            "--no-emit-find-links", "--no-emit-package=otel-stack-distro",
            f"--python-version={OLDEST_PYTHON}",
            *(["--upgrade"] if upgrade else []),
            f"{lock}.in", "--output-file", f"{lock}.txt",
        ]  # fmt: skip
        with step(f"locking {lock}.txt"):
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = " ".join(done.stderr.split())
            raise StackError(f"{lock}.in cannot be locked: {reason}")


if __name__ == "__main__":
    run_function(main)
