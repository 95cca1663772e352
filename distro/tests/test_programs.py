"""Five kinds of program, each with two variables: its spans, metrics and logs are in the record of
the collector, which is away for the first 10 s, across forks and an end by SIGTERM.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from stack import packages
from stack.collector_build import ensure_collector_binary
from stack.program import run
from stack.settings import ROOT
from stack.telemetry import read_logs, read_points, read_spans
from stack.waiting import wait_for
from tests.ports import free_ports
from tests.unit.collector.running import Collector, running

PROGRAMS = Path(__file__).resolve().parent / "programs"
LOCK = PROGRAMS / "requirements.txt"
SECONDS = 90.0
AWAY_SECONDS = 10.0

COMMANDS = {
    "flask": "gunicorn -c python:otel_stack_distro.gunicorn.conf flask_app:app",
    "django": "gunicorn --workers=2 --bind=127.0.0.1:PORT django_app:app",
    "fastapi": "uvicorn --port=PORT fastapi_app:app",
    "celery": "celery --app=celery_app worker --concurrency=2 --without-mingle --without-gossip",
    "script": "python script.py",
}
SERVERS = ("flask", "django", "fastapi")
METRICS = {
    **dict.fromkeys(SERVERS, "http.server.request.duration"),
    "celery": "flower.task.runtime.seconds",
    "script": "orders.handled",
}


@dataclass
class Program:
    """A program under `opentelemetry-instrument`, named as its service is."""

    name: str
    bin: Path
    folder: Path
    port: int
    environment: dict[str, str]
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        words = COMMANDS[self.name].replace("PORT", str(self.port)).split()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [self.bin / "opentelemetry-instrument", *words],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        if self.name in SERVERS:
            return requests.get(f"http://127.0.0.1:{self.port}/nothing", timeout=5).status_code > 0
        return ("ready" in self.log.read_text()) if self.name == "script" else True

    def order(self, number: int) -> None:
        """Have it handled; the script handles the first by itself, as it starts."""
        if self.name in SERVERS:
            answer = requests.get(f"http://127.0.0.1:{self.port}/orders/{number}", timeout=SECONDS)
            assert answer.json() == {"order": number}
        elif self.name == "celery":
            python = str(self.bin / "python")
            asking = [python, "celery_app.py", str(number)]
            subprocess.run(
                asking, cwd=self.folder, env=self.environment, check=True, timeout=SECONDS
            )
        elif number > 1:
            assert self.process.stdin
            self.process.stdin.write(f"{number}\n".encode())
            self.process.stdin.flush()

    def handled(self, number: int) -> bool:
        """Whether an order whose answer goes nowhere is done, as the log tells."""
        log = self.log.read_text()
        return {"celery": f"order {number}", "script": "done"}.get(self.name, "") in log


@dataclass(frozen=True)
class Record:
    """What is in the collector's files of a service."""

    folder: Path
    service: str

    def orders(self) -> set[str]:
        """The orders that log records tell of, each in the trace of a span that is there too."""
        traces = {
            span.trace_id
            for span in read_spans(self.folder / "traces.jsonl")
            if span.service == self.service
        }
        return {
            str(log.body)
            for log in read_logs(self.folder / "logs.jsonl")
            if log.service == self.service and log.trace_id in traces
        }

    def counted(self, metric: str) -> float:
        """The last totals of all processes, for what was served."""
        totals = {
            (point.resource["service.instance.id"], str(point.attributes)): point.value
            for point in read_points(self.folder / "metrics.jsonl")
            if point.resource.get("service.name") == self.service and point.metric == metric
            if point.attributes.get("http.response.status_code", 200) == 200
        }
        return sum(totals.values())


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment made of the frameworks' lock and `pip install ./distro`."""
    venv = tmp_path_factory.mktemp("fresh") / "venv"
    run([sys.executable, "-m", "venv", "--without-pip", str(venv)], seconds=SECONDS)
    packages.install(LOCK, "the frameworks", into=venv)
    uv = str(Path(sys.executable).with_name("uv"))
    # All that it depends on is there, so no index is asked.
    command = [uv, "pip", "install", f"--python={venv}", "--no-index", "--no-build-isolation"]
    run([*command, str(ROOT / "distro")], seconds=SECONDS)
    return venv / "bin"


@pytest.fixture(scope="module")
def ended(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Record]]:
    """Records by program, once each has handled order 1 while the collector was away and order 2
    just before it was told to end.
    """
    folder = tmp_path_factory.mktemp("programs")
    collector_port, *ports = free_ports(1 + len(COMMANDS))
    programs = [
        make_program(name, installed, folder / name, port, collector_port)
        for name, port in zip(COMMANDS, ports, strict=True)
    ]
    try:
        for program in programs:
            program.start()
        for program in programs:
            begin(program)
        begun = time.monotonic()
        wait_for("10 s", lambda: time.monotonic() - begun > AWAY_SECONDS, seconds=SECONDS)
        binary, port = ensure_collector_binary(ROOT), {"OTLP_HTTP_PORT": str(collector_port)}
        with running(binary, folder / "collector", environment=port) as collector:
            yield {program.name: lived(program, collector) for program in programs}
    finally:
        for program in programs:
            if program.process.poll() is None:
                program.process.kill()
                program.process.wait()


def make_program(name: str, bin_folder: Path, folder: Path, port: int, collector: int) -> Program:
    folder.mkdir()
    (folder / "broker").mkdir()
    for file in PROGRAMS.glob("*.py"):
        (folder / file.name).symlink_to(file)
    environment = {
        "OTEL_SERVICE_NAME": name,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector}",
        "PATH": f"{bin_folder}{os.pathsep}{os.defpath}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "BIND": f"127.0.0.1:{port}",
        "BROKER_FOLDER": str(folder / "broker"),
    }
    return Program(name, bin_folder, folder, port, environment)


def begin(program: Program) -> None:
    wait_for(program.name, lambda: program.ready, seconds=SECONDS)
    program.order(1)


def lived(program: Program, collector: Collector) -> Record:
    record = Record(collector.folder, program.name)
    wait_for(
        f"{program.name}'s first order",
        record.orders,
        until=lambda orders: "order 1" in orders,
        seconds=SECONDS,
    )
    program.order(2)
    wait_for(program.name, lambda: program.handled(2), seconds=SECONDS)
    program.process.terminate()
    program.process.wait(SECONDS)
    return record


@pytest.mark.parametrize("name", COMMANDS)
def test_its_logs_are_there_in_their_traces(ended: dict[str, Record], name: str) -> None:
    wait_for(
        f"{name}'s orders",
        ended[name].orders,
        until=lambda orders: {"order 1", "order 2"} <= orders,
        seconds=SECONDS,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_its_metrics_count_each_order_once(ended: dict[str, Record], name: str) -> None:
    wait_for(
        METRICS[name],
        lambda: ended[name].counted(METRICS[name]),
        until=lambda count: count == 2,
        seconds=SECONDS,
    )
