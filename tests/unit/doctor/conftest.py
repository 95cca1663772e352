"""A setup whose vendors are stand-ins in this process, and small servers that answer as told."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from stack.collector_config import CONFIG_FILE, env_defaults
from stack.doctor.setup import Setup
from stack.plan import make_plan
from stack.settings import PLAYED, ROOT, Settings
from stack.vendors import vendors
from standins.inprocess import running
from tests.unit.doctor.playing import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from standins.client import Client

# moto's state belongs to the process, and other tests have theirs in us-east-1.
REGION = "eu-north-1"


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told.seen.append((self.command, self.path, dict(self.headers)))
            status, body = told.by_path.get(self.path, (told.status, told.body))
            text = body if isinstance(body, str) else json.dumps(body)
            self.send_response_only(status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text.encode())

        do_GET = do_POST = do_HEAD = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            return

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield told
    http.shutdown()
    http.server_close()
    thread.join(5)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
def shared() -> Iterator[Client]:
    with running() as client:
        # Loading moto takes longer than doctor waits for an answer.
        boto3.client(
            "sts",
            endpoint_url=client.address("aws"),
            region_name=REGION,
            aws_access_key_id=PLAYED.aws_access_key_id,
            aws_secret_access_key=PLAYED.aws_secret_access_key,
        ).get_caller_identity()
        yield client


@pytest.fixture
def standins(shared: Client) -> Iterator[Client]:
    """Well before and after each test, X-Ray without groups and rules."""
    shared.heal()
    shared.reset("xray", everything=True)
    yield shared
    shared.heal()


@pytest.fixture
def settings() -> Settings:
    defaults = env_defaults((ROOT / CONFIG_FILE).read_text())
    return Settings(runtime="native", collector={**defaults, "AWS_REGION": REGION})


@pytest.fixture
def make(tmp_path: Path, settings: Settings) -> Callable[..., Setup]:
    """Makes a setup with its run folder in `tmp_path`; `changes` are settings."""

    def setup(*, up: bool = True, **changes: Any) -> Setup:
        chosen = settings.model_copy(update={"run_dir": tmp_path / "run", **changes})
        plan = make_plan(chosen, ROOT, "native")
        return Setup(chosen, plan, up=up, vendors=vendors(chosen, "127.0.0.1"))

    return setup


@pytest.fixture
def played(make: Callable[..., Setup], standins: Client) -> Setup:
    """A stack that is up, with every vendor played."""
    ports = {
        f"standin_{name}_port": port
        for name, port in standins.ports().items()
        if name in {"control", "honeycomb", "xray", "aws", "rollbar"}
    }
    return make(**ports)


@pytest.fixture
def with_config(tmp_path: Path) -> Callable[[Setup, str], Setup]:
    """The setup with another collector config."""

    def change(setup: Setup, text: str) -> Setup:
        file = tmp_path / "otel-config.yaml"
        file.write_text(text)
        chosen = setup.settings.model_copy(update={"collector_config": file})
        plan = make_plan(chosen, setup.root, setup.plan.runtime)
        return replace(setup, settings=chosen, plan=plan)

    return change
