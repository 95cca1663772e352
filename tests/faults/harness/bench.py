"""The collector's own binary with the shipped config, the emulators as vendors, and a hard hand."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

import requests

from emulators.client import Client
from stack.applied_config import apply_config, wanted_config
from stack.collector_build import ensure_collector_binary
from stack.errors import StackError
from stack.ledger import Entry
from stack.python_env import ensure_env
from stack.replay import Letter, letters_folder, read_letters
from stack.services import Process
from stack.settings import ROOT
from stack.waiting import wait_for
from tests.faults.harness.container import Container
from tests.faults.harness.far import Far
from tests.faults.harness.running import wait_while_it_runs
from tests.integration.harness.ledger import by_vendor
from tests.integration.harness.plans import Runtime, shipped_plan

START_SECONDS = 90
"""The collector takes a third of a second and the emulators two; both together took 40 s at a load
of 11."""

MOTO_SECONDS = 90
"""CloudWatch's emulator loads beside its first requests: 1.5 s of CPU, which were more than 30 s on
two cores that others kept busy."""

STOP_SECONDS = 10
"""What Docker grants; the native runtime has two more. Beside vendors that hang a stop takes nine:
a machine that pauses meanwhile is not the collector's delay."""


class Bench:
    """Collector and emulators as the plan runs them, but started and ended one by one."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        far: Far | None = None,
        disk: Path | None = None,
        runtime: Runtime = "native",
    ) -> None:
        """`far`: what stands between the collector and the vendors. `disk`: a small one of their
        own, under the queues. `runtime`: what runs the collector; emulators are processes.
        """
        self.plan = shipped_plan(folder, "native")
        self.far, self.disk = far, disk
        self._more = {**(environment or {}), **(far.environment if far else {})}
        for one in self.plan.folders.values():
            one.mkdir(parents=True, exist_ok=True)
        self._container = None
        if runtime == "docker":
            resolv = far.resolv if far and far.resolvable else None
            self._container = Container(self.plan, resolv)
        else:
            own = os.environ.get("COLLECTOR_BIN")
            self._binary = ensure_collector_binary(ROOT, Path(own) if own else None)
        self._wanted = wanted_config(self.plan)
        self.config = self._wanted.config
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        emulators = self.plan.process("emulators")
        if emulators.python is not None:
            ensure_env(emulators.python)
        try:
            self._start(emulators)
            self.client = Client(str(self.plan.control_url), timeout=30)
            if far:
                far.lead_to(self.client.ports())
            # Until moto is there CloudWatch hangs, and is nobody's healthy vendor.
            with Client(self.client.url, timeout=MOTO_SECONDS) as patient:
                patient.reset("aws", everything=True)
            self.start()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._container:
            self._container.close()
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
                process.wait(STOP_SECONDS)

    @property
    def otlp_url(self) -> str:
        return self.plan.otlp_url

    @property
    def log(self) -> Path:
        return self.plan.folders["LOG_DIR"] / "collector.log"

    @property
    def collector_pid(self) -> int:
        return self._processes["collector"].pid

    @property
    def queues(self) -> Path:
        return self.plan.folders["QUEUE_DIR"]

    def start(self) -> None:
        """Start the collector with `config` and wait until it is healthy."""
        apply_config(self.plan, replace(self._wanted, config=self.config))
        collector = self.plan.process("collector")
        collector = replace(collector, environment={**collector.environment, **self._more})
        if self._container:
            self._start(self._container.wrapped(collector))
            return
        before = self.far.command if self.far else ()
        self._start(replace(collector, argv=(*before, str(self._binary), *collector.argv[1:])))

    def kill(self) -> None:
        """End the collector as a crash does."""
        if self._container:
            self._container.kill()
        else:
            self._processes["collector"].kill()
        self._processes["collector"].wait(STOP_SECONDS)

    def stop(self) -> None:
        """End the collector as an operator does. Fails when that takes too long."""
        collector = self._processes["collector"]
        collector.send_signal(signal.SIGTERM)
        if not wait_while_it_runs(collector, STOP_SECONDS):
            self.kill()
            self.start()
            raise AssertionError(f"the collector takes more than {STOP_SECONDS} s to stop")

    def heal(self) -> None:
        """Every vendor is well, and so is the way to it."""
        self.client.heal()
        if self.far:
            self.far.heal()

    def ledger(self) -> dict[tuple[str, str], Entry]:
        """By vendor and signal."""
        try:
            return by_vendor(self.plan)
        except StackError:
            # Its five seconds are an operator's patience, and short for a collector under load.
            return by_vendor(self.plan)

    def letters(self) -> list[Letter]:
        return read_letters(letters_folder(self.plan))

    def _start(self, process: Process) -> None:
        log = self.plan.folders["LOG_DIR"] / f"{process.name}.log"
        with log.open("ab") as output:
            started = subprocess.Popen(
                process.argv,
                cwd=process.cwd,
                env={"PATH": os.defpath, **process.environment, **self._more},
                stdout=output,
                stderr=output,
            )
        self._processes[process.name] = started

        def healthy() -> bool:
            assert started.poll() is None, f"{process.name} ended: {log.read_text()[-1500:]}"
            return requests.get(process.health, timeout=2).ok

        wait_for(f"{process.name} to be healthy", healthy, seconds=START_SECONDS)
