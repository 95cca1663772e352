"""What runs without a supervisor: found by its environment, and ended."""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from pathlib import Path

import psutil

from stack.console import console
from stack.errors import StackError
from stack.runtimes import supervisor
from stack.runtimes.supervisor import RUN_DIR_MARK, STOP_SECONDS
from stack.services import Plan


def end_leftovers(plan: Plan) -> None:
    """End what a killed supervisor left behind; its ports are needed."""
    leftovers = marked(plan)
    if leftovers:
        console.print("  a supervisor was killed here: ending what it left running")
        end_processes(plan, leftovers)
    supervisor.socket(plan).unlink(missing_ok=True)


def marked(plan: Plan) -> list[psutil.Process]:
    """Every process that belongs to this run folder, found by what stands in its environment."""
    return [
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid() and _environ(process).get(RUN_DIR_MARK) == str(plan.run_dir)
    ]


def run_folders() -> set[Path]:
    """The run folder of every native stack of this machine of which a process runs."""
    found = (_environ(process).get(RUN_DIR_MARK) for process in psutil.process_iter())
    return {Path(folder) for folder in found if folder}


def end_processes(plan: Plan, processes: list[psutil.Process]) -> None:
    """End what has no supervisor, the last started first: the app's last spans need a collector."""
    config = configparser.RawConfigParser()
    config.read(supervisor.config_file(plan))
    orders = {
        section.removeprefix("program:"): config.getint(section, "priority")
        for section in config.sections()
        if section.startswith("program:")
    }
    by_order: dict[int, list[psutil.Process]] = {}
    for process in processes:
        order = orders.get(_environ(process).get("SUPERVISOR_PROCESS_NAME", ""), 0)
        by_order.setdefault(order, []).append(process)
    for order in sorted(by_order, reverse=True):
        _kill(by_order[order])


def _environ(process: psutil.Process) -> Mapping[str, str]:
    try:
        environment: Mapping[str, str] = process.environ()
    except (psutil.Error, OSError):
        return {}  # gone by now, or another user's
    return environment


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(processes, timeout=STOP_SECONDS)
    for process in alive:
        process.kill()
    _, survivors = psutil.wait_procs(alive, timeout=5)
    if survivors:
        raise StackError(
            f"{survivors[0].name()} (pid {survivors[0].pid}) cannot be ended", "end it by hand"
        )
