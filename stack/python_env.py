"""Python environments that the native runtime's processes run in: a lock each, nothing else."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from stack.console import step
from stack.errors import StackError
from stack.locking import only_one

INSTALL_SECONDS = 600


@dataclass(frozen=True)
class PythonEnv:
    """`what` names its packages for people."""

    folder: Path
    lock: Path
    what: str

    @property
    def bin(self) -> Path:
        return self.folder / "bin"


def ensure_env(env: PythonEnv) -> None:
    """Make the environment, or make it anew after a change of the lock, of Python or of the folder.

    Raises StackError with pip's own last line when it fails; what was half made is removed.
    """
    venv, lock, what = env.folder, env.lock, env.what
    wanted = hashlib.sha256(sys.version.encode() + lock.read_bytes()).hexdigest()
    stamp = venv / "lock.sha256"
    with only_one(venv.with_suffix(".lock")):
        if stamp.exists() and stamp.read_text() == wanted and _made_here(venv):
            return
        with step(f"installing {what}"):
            shutil.rmtree(venv, ignore_errors=True)
            try:
                _run([sys.executable, "-m", "venv", str(venv)], what)
                _install(venv, lock, what)
            except BaseException:
                shutil.rmtree(venv, ignore_errors=True)
                raise
            stamp.write_text(wanted)


def _made_here(venv: Path) -> bool:
    """Whether its programs find it: they begin with the whole path of where it was made, which a
    checkout that was renamed or copied takes along.
    """
    config = venv / "pyvenv.cfg"
    recorded = re.search(r"^command = .* -m venv (.+)$", config.read_text(), re.MULTILINE)
    return recorded is not None and Path(recorded[1]).resolve() == venv.resolve()


def _install(venv: Path, lock: Path, what: str) -> None:
    pip = [str(venv / "bin/python"), "-m", "pip", "install", "--quiet", "--no-input"]
    exact = ["--require-hashes", "--no-deps", "--only-binary=:all:"]
    _run([*pip, *exact, "--requirement", str(lock)], what)


def _run(command: list[str], what: str) -> None:
    online = "check that Python's package index can be reached, then try again"
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.CalledProcessError as failed:
        lines = (failed.stderr or failed.stdout).strip().splitlines() or ["no reason given"]
        errors = [line for line in lines if line.lower().startswith("error")] or lines
        raise StackError(f"{what} could not be installed: {errors[-1]}", online) from None
    except subprocess.TimeoutExpired:
        raise StackError(f"{what} were not installed within {INSTALL_SECONDS} s", online) from None
