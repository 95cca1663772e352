"""Cruddur's backend alone, instrumented as `make up` does it, under settings of a test's own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from stack.python_env import PythonEnv, ensure_env
from stack.services import otel_env
from stack.settings import ROOT
from stack.waiting import wait_for
from tests.ports import free_ports

SERVICES = ROOT / "services"


@dataclass(frozen=True)
class Backend:
    url: str
    console: Path


@contextmanager
def running_backend(
    folder: Path,
    otlp: str,
    environment: Mapping[str, str],
    app: str = "cruddur:create_app()",
    *modules: Path,
) -> Iterator[Backend]:
    """Start it, wait until it answers, and stop it. Its store and its console are in `folder`.

    `otlp`: where its telemetry goes. `environment`: what it gets besides what it always does.
    `app`: what gunicorn serves; it may be in one of `modules`, which are folders.
    """
    python = PythonEnv(
        ROOT / ".run/services-venv",
        SERVICES / "requirements.txt",
        "the services' packages",
        (ROOT / "distro",),
    )
    ensure_env(python)
    port, profiles_port = free_ports(2)
    backend = Backend(f"http://127.0.0.1:{port}", folder / "backend.log")
    with backend.console.open("w") as console:
        process = subprocess.Popen(
            [python.bin / "opentelemetry-instrument", "gunicorn", app],
            cwd=SERVICES / "backend",
            env={
                **otel_env(SERVICES / "backend/otel.env"),
                "OTEL_EXPORTER_OTLP_ENDPOINT": otlp,
                "PYTHONPATH": os.pathsep.join(map(str, (SERVICES / "backend", *modules))),
                "PATH": f"{python.bin}{os.pathsep}{os.defpath}",
                "BIND": f"127.0.0.1:{port}",
                "PROFILES_URL": f"http://127.0.0.1:{profiles_port}",
                "DATABASE_URL": f"sqlite:///{folder}/cruddur.db",
                **environment,
            },
            stdout=console,
            stderr=console,
        )
    try:
        wait_for(
            "the backend",
            lambda: requests.get(f"{backend.url}/api/health-check", timeout=2).ok,
            seconds=60,
        )
        yield backend
    finally:
        process.terminate()
        process.wait(timeout=60)
