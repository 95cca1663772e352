"""The stack as processes of this machine: the product's own native runtime, run by a test."""

from __future__ import annotations

import dataclasses
import shutil
import time
from typing import TYPE_CHECKING

import psutil
import requests

from stack.collector_config import CONFIG_FILE, env_defaults
from stack.plan import Plan, Process, make_plan
from stack.runtimes import native
from stack.settings import ROOT, Settings
from stack.telemetry import Log, Point, Span, read_logs, read_points, read_spans
from stack.waiting import wait_for
from tests.integration.harness.ports import free_ports
from tests.integration.harness.stack import AS_SHIPPED, TEST_ENVIRONMENT, Change, Signal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RESTART_SECONDS = 20


class NativeStack:
    """See `Stack`. Everything it writes is in `folder`, which goes with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._settings = _settings(folder)
        self._plan = self._shipped = _plan(self._settings, AS_SHIPPED)
        self._stopped: set[str] = set()
        self._paused: dict[str, list[psutil.Process]] = {}
        native.up(self._plan)

    @property
    def backend_url(self) -> str:
        return self._plan.backend_url

    @property
    def profiles_url(self) -> str:
        return f"http://127.0.0.1:{self._plan.settings.profiles_port}"

    @property
    def otlp_url(self) -> str:
        return self._plan.otlp_url

    def record(self, signal: Signal) -> Path:
        return self._plan.telemetry_dir / f"{signal}.jsonl"

    def spans(self, trace_id: str | None = None) -> list[Span]:
        return read_spans(self.record("traces"), trace_id)

    def logs(self, trace_id: str | None = None) -> list[Log]:
        return read_logs(self.record("logs"), trace_id)

    def points(self) -> list[Point]:
        return read_points(self.record("metrics"))

    def stop(self, service: str) -> float:
        self._stopped.add(service)
        pid = self._processes(service)[-1].pid
        started = time.monotonic()
        native.stop_process(self._plan, service)
        seconds = time.monotonic() - started
        log = (self._plan.folders["LOG_DIR"] / "supervisord.log").read_text()
        assert f"killing '{service}' ({pid}) with SIGKILL" not in log, self.console(service)
        return seconds

    def kill(self, service: str) -> None:
        self._stopped.add(service)
        # As a container's kill does. Workers left alone would go on answering for a second.
        processes = self._processes(service)
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=5)

    def start(self, service: str) -> None:
        process = self._process(service)
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
            native.start_process(self._plan, service)
        self._stopped.discard(service)

    def pause(self, service: str) -> None:
        self._paused[service] = self._processes(service)
        for process in self._paused[service]:
            process.suspend()

    def resume(self, service: str) -> None:
        for process in self._paused.pop(service, []):
            process.resume()

    def console(self, service: str) -> str:
        file = native.log_files(self._plan)[service]
        return file.read_text(errors="replace") if file.exists() else ""

    def change(self, change: Change) -> None:
        self._plan = _plan(self._settings, change)
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

    def _process(self, service: str) -> Process:
        return next(process for process in self._plan.processes if process.name == service)

    def _state(self, service: str) -> str:
        return next(s.state for s in native.status(self._plan) if s.name == service)

    def _processes(self, service: str) -> list[psutil.Process]:
        """The service's main process, and before it the workers that it would replace."""
        argument = self._process(service).argv[-1]
        for main in psutil.Process(self._supervisor()).children():
            if argument in main.cmdline():
                return [*main.children(recursive=True), main]
        raise AssertionError(f"{service} is not running")

    def _supervisor(self) -> int:
        return int((self._plan.run_dir / "supervisord.pid").read_text())


def _settings(folder: Path) -> Settings:
    defaults = env_defaults((ROOT / CONFIG_FILE).read_text())
    own = [name for name in Settings.model_fields if name.endswith("_port")]
    collector = [name for name in defaults if name.endswith("_PORT")]
    ports = free_ports(len(own) + len(collector))
    return Settings(
        runtime="native",
        run_dir=folder,
        collector={**defaults, **{name: str(ports.pop()) for name in collector}},
        **{name: ports.pop() for name in own},  # type: ignore[arg-type]
    )


def _plan(settings: Settings, change: Change) -> Plan:
    if change.collector_config is not None:
        config = settings.run_dir / "changed-config.yaml"
        config.write_text(change.collector_config)
        settings = settings.model_copy(update={"collector_config": config})
    plan = make_plan(settings, ROOT, "native")
    for_tests = dict.fromkeys((process.name for process in plan.processes), TEST_ENVIRONMENT)
    return _with_environment(_with_environment(plan, for_tests), change.environment)


def _with_environment(plan: Plan, variables: Mapping[str, Mapping[str, str]]) -> Plan:
    return dataclasses.replace(
        plan,
        processes=tuple(
            dataclasses.replace(
                process,
                environment={**process.environment, **variables.get(process.name, {})},
            )
            for process in plan.processes
        ),
    )
