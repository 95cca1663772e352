"""A Docker engine: found, or installed and started where that is possible, and stopped again.

An engine that was there is never touched. One that this project started is recorded under
`STATE_DIR` with the leases on it, and ends with the last lease.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from stack.console import console, step
from stack.engine import state
from stack.engine.daemon import check_ours, running_containers, start, stop
from stack.engine.found import HOW_TO, Engine, find_engine
from stack.engine.plugins import add_plugins

__all__ = ["HOW_TO", "Engine", "engine_lease", "ensure_engine", "find_engine", "release"]


def ensure_engine(lease: str | None = None, pid: int = 0) -> Engine:
    """An engine with Compose and buildx, installed and started by root on Debian if need be.

    `lease` keeps an engine that this project started alive until `release(lease)`, or until the
    process `pid` is gone. Raises StackError that says how to get an engine.
    """
    try:
        engine = find_engine()
        if engine is None:
            check_ours()
        leased = lease is not None and state.file().exists() and state.writable()
        if engine is None or leased:
            with state.locked():
                engine = find_engine() or start()
                if lease is not None:
                    state.hold(lease, pid)
        if engine.compose is None or engine.buildx is None:
            engine = add_plugins(engine)
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
