"""A Docker engine for tests: found, or installed and started as root on Debian; stopped again.

An engine that was there is never touched. One that this project started is recorded under
`STATE_DIR` with the leases on it, and ends with the last lease.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from stack.console import console, step
from stack.engine import Engine, find_engine, require_engine
from tools.test_machine.engine import state
from tools.test_machine.engine.daemon import running_containers, start, stop
from tools.test_machine.engine.plugins import add_plugins


def ensure_engine(lease: str | None = None, pid: int = 0) -> Engine:
    """An engine with Compose and buildx, installed and started by root on Debian if need be.

    `lease` keeps an engine that this project started alive until `release(lease)`, or until the
    process `pid` is gone. Raises StackError that says how to get an engine.
    """
    try:
        engine = find_engine()
        leased = lease is not None and state.file().exists() and state.writable()
        if engine is None or leased:
            with state.locked():
                engine = find_engine() or start()
                if lease is not None:
                    state.hold(lease, pid)
        if engine.lacking:
            add_plugins(engine)
            engine = require_engine()
    except BaseException:
        if lease is not None:
            release(lease)
        raise
    return engine


def release(lease: str) -> None:
    """Give back `lease`; ends the engine if this project started it and nobody else needs it."""
    if not (state.file().exists() and state.writable()):
        return
    with state.locked():
        record = state.read()
        if record is None:
            return
        record.leases.pop(lease, None)
        record.leases = {
            name: pid for name, pid in record.leases.items() if pid == 0 or psutil.pid_exists(pid)
        }
        state.write(record)
        if record.leases:
            return
        running = running_containers()
        if running != 0:
            # One that is too busy to say so may be busy with another clone's containers.
            what = "it does not say what runs on it"
            what = what if running is None else f"{running} container(s) run on it"
            console.print(f"  the Docker engine stays: {what}", soft_wrap=True)
            return
        with step("stopping the Docker engine that was started here"):
            stop(record)


@contextmanager
def engine_lease(name: str) -> Iterator[Engine]:
    """An engine for as long as the block runs, or this process lives."""
    lease = f"{name}-{os.getpid()}"
    try:
        yield ensure_engine(lease, os.getpid())
    finally:
        release(lease)
