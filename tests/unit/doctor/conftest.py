"""A setup whose vendors are emulators in this process, and small servers that answer as told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from emulators.aws.settings import Settings as AwsSettings
from emulators.client import Client
from emulators.inprocess import running
from stack import asking, collector_build
from stack.collector_config.text import CONFIG_FILE, env_defaults
from stack.doctor import versions
from stack.doctor.examination import examine
from stack.doctor.setup import Setup
from stack.services import make_plan
from stack.settings import ROOT, Settings
from stack.vendors import vendors
from stack.vendors.aws import checks as aws
from tests.local_http import Handler, serve
from tests.unit.doctor.playing import Server

# moto's state belongs to the process, and other tests have theirs in us-east-1.
REGION = "eu-north-1"
PATIENT = 60


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Told(Handler):
        def respond(self) -> None:
            self.body()
            told.seen.append((self.command, self.path, dict(self.headers)))
            status, body = told.by_path.get(self.path, (told.status, told.body))
            text = body if isinstance(body, str) else json.dumps(body)
            self.answer(status, text.encode(), told.headers)

    with serve(Told) as told.url:
        yield told


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user waits for seconds only; a busy machine needs more of them for what is well."""
    for module in (asking, aws):
        for name in ("CONNECT_SECONDS", "ANSWER_SECONDS"):
            monkeypatch.setattr(module, name, PATIENT)
    for module in (collector_build, versions):
        monkeypatch.setattr(module, "ASK_SECONDS", PATIENT)
    monkeypatch.setattr(examine, "__defaults__", (2 * PATIENT,))


@pytest.fixture(scope="session")
def shared() -> Iterator[Client]:
    with running() as client:
        # Loading moto takes longer than doctor waits for an answer.
        boto3.client(
            "sts",
            endpoint_url=client.address("aws"),
            region_name=REGION,
            aws_access_key_id=AwsSettings().access_key_id,
            aws_secret_access_key=AwsSettings().secret_access_key,
        ).get_caller_identity()
        yield client


@pytest.fixture
def emulators(shared: Client) -> Iterator[Client]:
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
        own = tuple(
            group.model_copy(
                update={
                    name: changes.pop(name) for name in type(group).model_fields if name in changes
                }
            )
            for group in settings.of_vendors
        )
        changes |= {"run_dir": tmp_path / "run", "of_vendors": own}
        chosen = settings.model_copy(update=changes)
        plan = make_plan(chosen, ROOT, "native")
        return Setup(chosen, plan, up=up, vendors=vendors(chosen, "127.0.0.1"))

    return setup


@pytest.fixture
def played(make: Callable[..., Setup], emulators: Client) -> Setup:
    """A stack that is up, with every vendor played."""
    ports = {
        f"emulator_{name}_port": port
        for name, port in emulators.ports().items()
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
