"""What this machine gives: a runtime, ports, folders, room on the disk."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

from stack.collector_build import BINARY, ensure_collector_binary, go_on_path, new_enough
from stack.doctor.setup import Setup
from stack.engine import require_engine
from stack.errors import StackError
from stack.finding import About, Finding
from stack.ports import PUBLISHERS, is_free, listeners, taken
from stack.runtimes.supervisor import RUN_DIR_MARK

MIB = 1024 * 1024
LITTLE_DISK = 1024 * MIB
NO_DISK = 100 * MIB


def check_runtime(setup: Setup) -> Iterator[Finding]:
    """What `make up` would run the stack with, and whether it is there."""
    about = About("runtime")
    if setup.plan.runtime == "docker":
        yield from _docker(about, setup)
    else:
        yield from _native(about, setup)


def _docker(about: About, setup: Setup) -> Iterator[Finding]:
    try:
        engine = require_engine()
    except StackError as refused:
        yield about.problem(f"RUNTIME=docker, and {refused.what}", refused.todo)
        return
    state = "runs on" if setup.up else "would run on"
    yield about.ok(f"the stack {state} Docker {engine.version}, Compose {engine.compose}")


def _native(about: About, setup: Setup) -> Iterator[Finding]:
    state = "runs" if setup.up else "would run"
    yield about.ok(f"the stack {state} natively, under supervisor")
    yield from _collector_binary(about, setup)
    envs = {process.python for process in setup.plan.processes if process.python}
    if not all((env.folder / "lock.sha256").exists() for env in envs):
        if importlib.util.find_spec("ensurepip") is None:
            yield about.problem(
                "this Python cannot make environments (it has no ensurepip)",
                "install it; Debian calls the package python3-venv",
            )
        else:
            yield about.ok("`make up` installs the services' packages first")


def _collector_binary(about: About, setup: Setup) -> Iterator[Finding]:
    own = setup.settings.collector_bin
    if own is not None:
        yield about.ok(f"the collector is {ensure_collector_binary(setup.root, own)}")
        return
    if (setup.root / BINARY).is_file():
        return
    go = go_on_path()
    if go and new_enough(go, setup.root):
        yield about.ok(f"`make up` compiles the collector with Go {go.version}")
    else:
        found = f"the Go here is {go.version}" if go else "no Go here"
        yield about.ok(f"{found}: `make up` takes one from PyPI and compiles the collector with it")


def check_ports(setup: Setup) -> Iterator[Finding]:
    """Whether each port can be had, or is held by this very stack."""
    about = About("ports")
    fine, silent = 0, []
    ours = _own_ports(setup) if setup.up else frozenset()
    for name, port in setup.plan.ports.items():
        free = is_free(port)
        if setup.up and free:
            silent.append(f"{port} ({name})")
        elif free or port in ours:
            fine += 1
        else:
            stranger = taken(name, port)
            yield about.problem(stranger.what, stranger.todo)
    if silent:
        yield about.problem(
            f"the stack is up, and nothing listens on {', '.join(silent)}",
            "see `make status` and `make logs`",
        )
    if fine:
        state = "held by this stack" if setup.up else "free"
        yield about.ok(f"{fine} port{'s are' if fine > 1 else ' is'} {state}")


def _own_ports(setup: Setup) -> frozenset[int]:
    """The ports that processes of this stack listen on."""
    listening = listeners()
    if listening is None:
        # With a stack that is up it is most likely that.
        return frozenset(setup.plan.ports.values())
    own = {pid: _is_own(setup, pid) for pid in set(listening.values())}
    return frozenset(port for port, pid in listening.items() if own[pid])


def _is_own(setup: Setup, pid: int | None) -> bool:
    in_docker = setup.plan.runtime == "docker"
    if pid is None:
        # Another user's: dockerd's, where the caller is not root.
        return in_docker
    try:
        process = psutil.Process(pid)
        if in_docker:
            return process.name() in PUBLISHERS
        return process.environ().get(RUN_DIR_MARK) == str(setup.plan.run_dir)
    except psutil.Error:
        return False


def check_folders(setup: Setup) -> Iterator[Finding]:
    """Whether everything that the stack writes can be written, and fits."""
    about = About("folders")
    bad = False
    for name, folder in {"RUN_DIR": setup.plan.run_dir, **setup.plan.folders}.items():
        there = _existing(folder)
        if not there.is_dir():
            reason, todo = f"{there} is a file", "move it away"
        elif not os.access(there, os.W_OK | os.X_OK):
            reason = f"{there} cannot be written by this user"
            todo = f"chown {there}, or set RUN_DIR to another folder ({name} is in it)"
        else:
            continue
        bad = True
        yield about.problem(f"{folder} cannot be used: {reason}", todo)
    free = shutil.disk_usage(_existing(setup.plan.run_dir)).free
    room = f"{free / MIB / 1024:.1f} GB" if free >= LITTLE_DISK else f"{free // MIB} MB"
    if free < NO_DISK:
        yield about.problem(
            f"{room} are left on the disk of {setup.plan.run_dir}: queues cannot grow",
            "make room, or set RUN_DIR to another disk",
        )
    elif free < LITTLE_DISK:
        yield about.warning(
            f"{room} are left on the disk of {setup.plan.run_dir}",
            "make room: what waits for a vendor that is down needs it",
        )
    elif not bad:
        yield about.ok(f"{setup.plan.run_dir} can be written; {room} are free")


def _existing(folder: Path) -> Path:
    """The folder itself, or the nearest one above that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
