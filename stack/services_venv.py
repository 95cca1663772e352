"""The Python environment that both Flask services run in natively: their lock, nothing else."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from stack.console import step
from stack.errors import StackError
from stack.locking import only_one

if TYPE_CHECKING:
    from pathlib import Path

    from stack.plan import Plan

INSTALL_SECONDS = 600


def ensure_services_venv(plan: Plan) -> None:
    """Make the environment, or make it anew after a change of the lock or of Python.

    Raises StackError with pip's own last line when it fails; what was half made is removed.
    """
    venv = plan.services_venv
    lock = plan.root / "services/requirements.txt"
    wanted = hashlib.sha256(sys.version.encode() + lock.read_bytes()).hexdigest()
    stamp = venv / "lock.sha256"
    with only_one(venv.with_suffix(".lock")):
        if stamp.exists() and stamp.read_text() == wanted:
            return
        with step("installing the services' packages"):
            shutil.rmtree(venv, ignore_errors=True)
            try:
                _run([sys.executable, "-m", "venv", str(venv)])
                _install(venv, lock)
            except BaseException:
                shutil.rmtree(venv, ignore_errors=True)
                raise
            stamp.write_text(wanted)


def _install(venv: Path, lock: Path) -> None:
    pip = [str(venv / "bin/python"), "-m", "pip", "install", "--quiet", "--no-input"]
    exact = ["--require-hashes", "--no-deps", "--only-binary=:all:"]
    _run([*pip, *exact, "--requirement", str(lock)])


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.CalledProcessError as failed:
        lines = (failed.stderr or failed.stdout).strip().splitlines() or ["no reason given"]
        errors = [line for line in lines if line.lower().startswith("error")] or lines
        raise StackError(
            f"the services' packages could not be installed: {errors[-1]}",
            "check that Python's package index can be reached, then try again",
        ) from None
    except subprocess.TimeoutExpired:
        raise StackError(
            f"the services' packages were not installed within {INSTALL_SECONDS} s",
            "check that Python's package index can be reached, then try again",
        ) from None
