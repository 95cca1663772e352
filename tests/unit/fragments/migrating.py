"""The sample apps as processes, and a collector in front of the emulators."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from emulators.client import Client
from emulators.honeycomb.settings import Settings
from stack.waiting import wait_for
from tests.ports import free_ports
from tests.unit.fragments.delivery import SOON

APPS = Path(__file__).parent / "apps"
UP_SECONDS = 60


@contextlib.contextmanager
def app(name: str, folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Serve `apps/<name>.py` with Flask; yields its URL. Its output is `<name>.log` in `folder`."""
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    flask = [sys.executable, "-m", "flask", "--app", str(APPS / f"{name}.py"), "run"]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*flask, "--port", str(port)],
            env={"PATH": os.environ["PATH"], **environment},
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(f"{name} on {url}", lambda: _listens(port), seconds=UP_SECONDS)
        yield url
    finally:
        process.terminate()
        process.wait(SOON)


def _listens(port: int) -> bool:
    """Without a request, which would be a trace. Raises OSError where nobody does."""
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        return True


def vendors_of(emulators: Client) -> dict[str, str]:
    """The variables by which the base config's exporters reach the emulators."""
    settings = Settings()
    return {
        "HONEYCOMB_ENDPOINT": emulators.address("honeycomb"),
        "HONEYCOMB_API_KEY": settings.key,
        "XRAY_ENDPOINT": emulators.address("xray"),
        "CLOUDWATCH_LOGS_ENDPOINT": emulators.address("aws"),
    }
