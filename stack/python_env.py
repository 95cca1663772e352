"""Python environments that the native runtime's processes run in: a lock each, nothing else."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from stack.console import step
from stack.disk import check_room, full_disk
from stack.errors import StackError
from stack.locking import only_one

INSTALL_SECONDS = 600

ROOM = 400
"""MB of the largest of them, the emulators' (376, measured 2026-11-30)."""


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
        if venv.exists():
            _check_owner(venv, lock)
        check_room(venv.parent, what, ROOM)
        with step(f"installing {what}"):
            shutil.rmtree(venv, ignore_errors=True)
            try:
                _run([sys.executable, "-m", "venv", str(venv)], what)
                _install(venv, lock, what)
            except BaseException:
                shutil.rmtree(venv, ignore_errors=True)
                raise
            stamp.write_text(wanted)


def _check_owner(venv: Path, lock: Path) -> None:
    """What is wrong with it may be wrong for this user alone, and then it is not his to remove."""
    if venv.stat().st_uid != os.geteuid():
        raise StackError(
            f"{venv} belongs to {venv.owner()}, and is not what {lock} asks for or does not run "
            "for you",
            "run make as its owner, or in a clone of your own",
        )


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
        full = full_disk(f"{what} could not be installed", "\n".join(lines))
        if full:
            raise full from None
        errors = [line for line in lines if line.lower().startswith("error")] or lines
        raise StackError(f"{what} could not be installed: {errors[-1]}", online) from None
    except subprocess.TimeoutExpired:
        raise StackError(f"{what} were not installed within {INSTALL_SECONDS} s", online) from None
