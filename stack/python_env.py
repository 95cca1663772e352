"""Python environments that the native runtime's processes run in: a lock each, and packages of the
project's own.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from stack.console import step
from stack.disk import check_room, full_disk
from stack.errors import StackError
from stack.locking import only_one
from stack.packages import install, install_folder, install_unlocked
from stack.program import ProgramError, run

VENV_SECONDS = 60

ROOM = 400
"""MB of the largest of them, the emulators' (376, measured 2026-11-30)."""


@dataclass(frozen=True)
class PythonEnv:
    """`what` names its packages for people. `packages`: folders of the project that are installed
    besides what the lock names; an edit of their sources needs no other environment. With
    `unlocked`, `lock` is a service's own requirements, which need not be locked, and these packages
    are added where it does not name them, and the instrumentation of what is there.
    """

    folder: Path
    lock: Path
    what: str
    packages: tuple[Path, ...] = ()
    unlocked: tuple[str, ...] = ()

    @property
    def bin(self) -> Path:
        return self.folder / "bin"


def ensure_env(env: PythonEnv) -> None:
    """Make the environment, or make it anew after a change of the lock, of Python or of the folder.

    Raises StackError with the reason when it fails; what was half made is removed.
    """
    venv, lock, what = env.folder, env.lock, env.what
    if not lock.is_file():
        raise StackError(f"{lock} is missing", "restore it")
    sources = (lock, *(package / "pyproject.toml" for package in env.packages))
    contents = b"".join(source.read_bytes() for source in sources)
    about = f"{sys.version}{''.join(env.unlocked)}"
    wanted = hashlib.sha256(about.encode() + contents).hexdigest()
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
                run(
                    [sys.executable, "-m", "venv", "--without-pip", str(venv)], seconds=VENV_SECONDS
                )
                if env.unlocked:
                    install_unlocked(lock, what, env.packages, env.unlocked, into=venv)
                else:
                    install(lock, what, into=venv)
                    for package in env.packages:
                        install_folder(package, f"{package}/", into=venv)
            except ProgramError as failed:
                shutil.rmtree(venv, ignore_errors=True)
                full = full_disk(f"{what} could not be installed", failed.output)
                raise full or StackError(f"{what} could not be installed: {failed}") from None
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
    recorded = re.search(
        r"^command = .* -m venv --without-pip (.+)$", config.read_text(), re.MULTILINE
    )
    return recorded is not None and Path(recorded[1]).resolve() == venv.resolve()
