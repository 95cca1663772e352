"""What is set, and whether the stack runs with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stack.doctor.chosen import changed_since_start, check_settings
from stack.doctor.setup import Setup
from stack.runtimes import containers
from stack.runtimes.containers import SERVICE_LABEL
from stack.services import Plan
from stack.vendors import Vendor
from tests.ports import free_ports
from tests.unit.doctor.playing import only, text, with_vendor

LISTEN = (
    "import socket, sys; s = socket.socket(); s.bind(('127.0.0.1', int(sys.argv[1])));"
    "s.listen(); print(flush=True); sys.stdin.read()"
)
KEY = "HONEYCOMB_API_KEY"


def plan_with(setup: Setup, port: int, key: str) -> Plan:
    """A plan of one collector on `port`, which gets `key`."""
    vendor = Vendor(name="honeycomb", live=True, why="", url="", emulator="", collector={KEY: key})
    process = replace(
        setup.plan.process("collector"),
        ports={"OTLP_HTTP_PORT": port},
        environment={KEY: key, "OTHER": "thing"},
    )
    return replace(setup.plan, vendors=(vendor,), processes=(process,))


@pytest.fixture
def collector() -> Iterator[int]:
    """The port of a process whose key is `the key`."""
    [port] = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-c", LISTEN, str(port)],
        env={**os.environ, KEY: "the key"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield port
    process.communicate(timeout=60)


def test_a_fresh_checkout_has_every_vendor_played(make: Callable[..., Setup]) -> None:
    # given
    setup = make(up=False)
    # then
    finding = only(check_settings(setup))
    assert finding.verdict == "ok"
    assert "played by emulators: xray, cloudwatch, honeycomb, rollbar" in finding.what


def test_keys_that_others_may_read_are_a_warning(
    make: Callable[..., Setup], tmp_path: Path
) -> None:
    # given
    (tmp_path / ".env").write_text("HONEYCOMB_API_KEY=x\n")
    setup = with_vendor(make(up=False), "honeycomb", live=True)
    setup = replace(setup, plan=replace(setup.plan, root=tmp_path))
    for mode, warned in ((0o644, True), (0o600, False)):
        (tmp_path / ".env").chmod(mode)
        # then
        assert ("chmod 600" in text(check_settings(setup))) is warned


def test_a_name_that_does_nothing_is_a_warning(make: Callable[..., Setup]) -> None:
    # given
    setup = make(up=False)
    setup = replace(setup, settings=setup.settings.model_copy(update={"idle": ("OTLP_BIND",)}))
    # then
    assert ".env sets OTLP_BIND, which the collector's config does not" in text(
        check_settings(setup)
    )


def test_a_file_of_its_own_that_holds_a_key_is_looked_at_too(
    make: Callable[..., Setup], tmp_path: Path
) -> None:
    # given
    file = tmp_path / "honeycomb.key"
    file.write_text("x")
    setup = make(up=False)
    setup = replace(setup, settings=setup.settings.model_copy(update={"key_files": (file,)}))
    for mode, warned in ((0o640, True), (0o600, False)):
        file.chmod(mode)
        # then
        assert ("honeycomb.key, which holds keys" in text(check_settings(setup))) is warned


def test_a_token_that_was_renewed_since_the_start_is_told_and_not_shown(
    make: Callable[..., Setup], tmp_path: Path
) -> None:
    # given a stack that is up, and a service that was started with an earlier token
    (tmp_path / "token").write_text("e" * 40)
    earlier = make(otlp_access=("token",), otlp_client_secrets=tmp_path).plan
    (tmp_path / "token").write_text("n" * 40)
    setup = make(otlp_access=("token",), otlp_client_secrets=tmp_path)
    backend = setup.plan.process("backend-flask")
    [port] = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-c", LISTEN, str(port)],
        env={**os.environ, **earlier.process("backend-flask").environment, "PATH": os.defpath},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    moved = replace(backend, ports={"BACKEND_PORT": port})
    setup = replace(setup, plan=replace(setup.plan, processes=(moved,)))
    # when
    found = text(check_settings(setup))
    process.communicate(timeout=60)
    # then
    assert "a certificate or token of OTLP_ACCESS was renewed" in found
    assert "`make up` hands out what is there now" in found
    assert "other values" not in found
    assert "n" * 40 not in found
    assert "e" * 40 not in found


def test_a_fragments_key_makes_the_env_file_a_secret(
    make: Callable[..., Setup], tmp_path: Path
) -> None:
    # given
    (tmp_path / ".env").write_text("AXIOM_API_TOKEN=x\n")
    (tmp_path / ".env").chmod(0o644)
    setup = make(up=False)
    setup = replace(setup, plan=replace(setup.plan, root=tmp_path))
    for values, warned in (({"AXIOM_API_TOKEN": "x"}, True), ({"AXIOM_ENDPOINT": "x"}, False)):
        chosen = setup.settings.model_copy(update={"config_values": values})
        # then
        found = text(check_settings(replace(setup, settings=chosen)))
        assert ("chmod 600" in found) is warned


@pytest.mark.parametrize(("key", "changed"), [("the key", []), ("another", [KEY])])
def test_a_key_set_after_the_start_is_told(
    make: Callable[..., Setup], collector: int, key: str, changed: list[str]
) -> None:
    # given
    setup = make()
    setup = replace(setup, plan=plan_with(setup, collector, key))
    # then
    assert changed_since_start(setup.plan) == changed
    assert ("`make up` applies" in text(check_settings(setup))) is bool(changed)
    assert "another" not in text(check_settings(setup))


@pytest.mark.parametrize(("key", "changed"), [("the=key", []), ("another", [KEY])])
def test_containers_are_looked_at_too(
    make: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch, key: str, changed: list[str]
) -> None:
    # given
    container = {"Config": {"Labels": {SERVICE_LABEL: "collector"}, "Env": [f"{KEY}=the=key"]}}
    answers = {"ps": "c0ffee\n", "inspect": json.dumps([container])}
    monkeypatch.setattr(containers, "run", lambda argv, **_: answers[argv[1]])
    plan = replace(plan_with(make(), 1, key), runtime="docker")
    # then
    assert changed_since_start(plan) == changed
