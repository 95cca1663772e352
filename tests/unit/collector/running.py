"""The real collector with the real config, on ports and in folders of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

from stack.collector_config.files import REDACTION_FILE, config_arguments, wants_patterns
from stack.collector_config.text import CONFIG_FILE, env_defaults, load
from stack.settings import ROOT
from stack.waiting import wait_for
from tests.ports import free_ports

SECONDS = 60
"""For what takes less than one on a machine that is not busy."""

CONFIG = ROOT / CONFIG_FILE
PATTERNS = ROOT / REDACTION_FILE
SHIPPED = (CONFIG, PATTERNS)
DEFAULTS = env_defaults(CONFIG.read_text())
PORTS = tuple(name for name in DEFAULTS if name.endswith("_PORT"))
# Nobody listens there: a vendor's exporter must not reach the real one from a test.
NOBODY = "http://127.0.0.1:1"
NO_VENDORS = {
    **{name: NOBODY for name in DEFAULTS if name.endswith("_ENDPOINT")},
    "HONEYCOMB_API_KEY": "none",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass
class Collector:
    """A running collector; `folder` holds its telemetry, its queues and its log."""

    process: subprocess.Popen[bytes]
    environment: Mapping[str, str]
    folder: Path
    ready_seconds: float

    @property
    def otlp(self) -> str:
        return self.url("OTLP_HTTP_PORT")

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.environment[port]}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def resident_bytes(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def post(self, signal_name: str, body: Mapping[str, Any]) -> None:
        """Send OTLP/HTTP JSON; `signal_name` is traces, metrics or logs."""
        answer = requests.post(f"{self.otlp}/v1/{signal_name}", json=body, timeout=SECONDS)
        assert answer.status_code == 200, answer.text

    def wait_for_file(self, signal_name: str, needle: str) -> str:
        """The text of the signal's file once it holds `needle`, in whole lines."""
        path = self.folder / f"{signal_name}.jsonl"
        return wait_for(
            f"{needle} in {path.name}",
            path.read_text,
            until=lambda text: needle in text and text.endswith("\n"),
            seconds=SECONDS,
        )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=SECONDS)


@contextlib.contextmanager
def running(
    binary: Path, folder: Path, config: Path = CONFIG, environment: Mapping[str, str] | None = None
) -> Iterator[Collector]:
    """Start, wait until the health check answers, and end by SIGKILL what still runs."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [config, PATTERNS] if wants_patterns(load(config)) else [config]
    own = {
        **NO_VENDORS,
        **dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True)),
        "TELEMETRY_DIR": str(folder),
        "QUEUE_DIR": str(folder / "queues"),
        **(environment or {}),
    }
    started = time.monotonic()
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [str(binary), *config_arguments(files)],
            env={**os.environ, **own},
            stdout=log,
            stderr=log,
        )
    collector = Collector(process, own, folder, 0.0)
    try:
        wait_for("the collector's health", lambda: healthy(collector), seconds=SECONDS, pause=0.005)
        collector.ready_seconds = time.monotonic() - started
        yield collector
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def healthy(collector: Collector) -> bool:
    assert collector.process.poll() is None, collector.log
    return requests.get(collector.url("COLLECTOR_HEALTH_PORT"), timeout=1).status_code == 200


def attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """OTLP's JSON form of plain values: str, int, list of str."""
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def plain(found: list[dict[str, Any]]) -> dict[str, Any]:
    """`attributes`, undone."""
    return {item["key"]: next(iter(item["value"].values())) for item in found}


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    return {"stringValue": value}


def trace(name: str, values: Mapping[str, Any] | None = None, **span: Any) -> dict[str, Any]:
    """One server span called `name`; `span` adds to it or replaces what it holds."""
    whole = {
        "traceId": os.urandom(16).hex(),
        "spanId": os.urandom(8).hex(),
        "name": name,
        "kind": 2,
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": "1700000000100000000",
        "attributes": attributes(values or {}),
        **span,
    }
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": [whole]}]}]}


def spans(text: str) -> dict[str, dict[str, Any]]:
    """The spans of a traces file by name."""
    return {
        span["name"]: span
        for line in text.splitlines()
        if line
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    }
