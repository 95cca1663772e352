"""The stack as processes of this machine: the product's own native runtime, run by a test."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import psutil
import requests

from stack.ledger import Entry
from stack.runtimes import native, supervisor
from stack.services import Plan
from stack.waiting import wait_for
from tests.integration.harness.ledger import by_vendor
from tests.integration.harness.planned import PlannedStack
from tests.integration.harness.plans import changed_plan, shipped_plan
from tests.integration.harness.stack import AS_SHIPPED, Change, KilledError, Signal

RESTART_SECONDS = 60


def start_process(plan: Plan, name: str) -> None:
    """Start a stopped process and wait until it is healthy."""
    supervisor.rpc(plan).startProcess(name)
    native.wait_healthy(plan, plan.process(name))


class NativeStack(PlannedStack):
    """See `Stack`. Everything it writes is in `folder`, which goes with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._plan = self._shipped = shipped_plan(folder, "native")
        self._stopped: set[str] = set()
        self._paused: dict[str, list[psutil.Process]] = {}
        native.up(self._plan)

    def record(self, signal: Signal) -> Path:
        return self._plan.telemetry_dir / f"{signal}.jsonl"

    def ledger(self) -> dict[tuple[str, str], Entry]:
        return by_vendor(self._plan)

    def stop(self, service: str) -> float:
        self._stopped.add(service)
        pid = self._processes(service)[-1].pid
        started = time.monotonic()
        supervisor.rpc(self._plan).stopProcess(service)
        seconds = time.monotonic() - started
        log = (self._plan.folders["LOG_DIR"] / "supervisord.log").read_text()
        if f"killing '{service}' ({pid}) with SIGKILL" in log:
            raise KilledError(self.console(service))
        return seconds

    def kill(self, service: str) -> None:
        self._stopped.add(service)
        # As a container's kill does. Workers left alone would go on answering for a second.
        processes = self._all_processes(service)
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=5)

    def start(self, service: str) -> None:
        process = self._plan.process(service)
        state = wait_for(
            f"{service} to be up or down for good",
            lambda: self._state(service),
            until=lambda seen: seen in {"running", "stopped", "exited", "fatal"},
            seconds=RESTART_SECONDS,
        )
        if state == "running":
            wait_for(
                f"{service} to be healthy",
                lambda: requests.get(process.health, timeout=2).ok,
                seconds=RESTART_SECONDS,
            )
        else:
            start_process(self._plan, service)
        self._stopped.discard(service)

    def pause(self, service: str) -> None:
        self._paused[service] = self._all_processes(service)
        for process in self._paused[service]:
            process.suspend()

    def resume(self, service: str) -> None:
        for process in self._paused.pop(service, []):
            process.resume()

    def console(self, service: str) -> str:
        file = supervisor.log_files(self._plan)[service]
        return file.read_text(errors="replace") if file.exists() else ""

    def change(self, change: Change) -> None:
        self._plan = changed_plan(self._shipped, change)
        native.up(self._plan)
        self._stopped.clear()

    def restore(self) -> None:
        for service in list(self._paused):
            self.resume(service)
        if self._plan != self._shipped:
            self.change(AS_SHIPPED)
        for process in self._shipped.processes:
            if process.name in self._stopped:
                self.start(process.name)

    def close(self) -> None:
        for service in list(self._paused):
            self.resume(service)
        native.down(self._plan)
        shutil.rmtree(self._folder)

    def whereabouts(self) -> str:
        pid = (self._plan.run_dir / "supervisord.pid").read_text().strip()
        return f"{self.backend_url}, files in {self._plan.run_dir}, end it with `kill {pid}`"

    def _state(self, service: str) -> str:
        return next(s.state for s in native.status(self._plan) if s.name == service)

    def workers(self, service: str) -> list[psutil.Process]:
        return self._processes(service)[:-1]

    def _processes(self, service: str) -> list[psutil.Process]:
        """The service's main process, and before it the workers that it would replace."""
        argument = self._plan.process(service).argv[-1]
        for main in psutil.Process(self._supervisor()).children():
            if argument in main.cmdline():
                return [*main.children(recursive=True), main]
        raise AssertionError(f"{service} is not running")

    def _all_processes(self, service: str) -> list[psutil.Process]:
        """`_processes`, with the main one stopped: a service is healthy with its first worker, and
        one that was started after this look would answer for those that are paused or killed.
        """
        main = self._processes(service)[-1]
        main.suspend()
        wait_for(
            f"{service} to be stopped",
            lambda: main.status() == psutil.STATUS_STOPPED,
            seconds=RESTART_SECONDS,
        )
        return self._processes(service)

    def _supervisor(self) -> int:
        return int((self._plan.run_dir / "supervisord.pid").read_text())
