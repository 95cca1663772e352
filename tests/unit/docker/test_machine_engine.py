"""An engine for tests: when none is started, and who may stop it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from stack.errors import StackError
from stack.waiting import wait_for
from tools.test_machine import debian, engine
from tools.test_machine.engine import daemon as own_engine
from tools.test_machine.engine import state

Client = Callable[..., Path]

INFO = {
    "ServerVersion": "20.10.24",
    "SecurityOptions": ["name=seccomp,profile=default"],
    "ClientInfo": {
        "Context": "default",
        "Plugins": [
            {"Name": "compose", "Version": "2.26.1"},
            {"Name": "buildx", "Version": "0.13.1"},
        ],
    },
}
ANSWERS = f"echo '{json.dumps(INFO)}'"
DEAD = 'echo "Cannot connect to the Docker daemon" >&2; exit 1'


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "STATE_DIR", tmp_path / "state")
    monkeypatch.setattr(own_engine, "ENGINE_LOG", tmp_path / "dockerd.log")
    monkeypatch.setattr("stack.engine.DEFAULT_HOST", f"unix://{tmp_path / 'docker.sock'}")


@pytest.fixture
def daemon() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for the dockerd which this project started."""
    process = subprocess.Popen([shutil.which("sleep") or "sleep", "60"])
    yield process
    process.kill()
    process.wait()


def started(daemon: subprocess.Popen[bytes], **leases: int) -> None:
    state.STATE_DIR.mkdir(exist_ok=True)
    created = psutil.Process(daemon.pid).create_time()
    record = {"pid": daemon.pid, "created": created, "bridge_before": True, "leases": leases}
    (state.STATE_DIR / "engine.json").write_text(json.dumps(record))


def test_an_engine_that_answers_is_taken_as_it_is(docker_client: Client) -> None:
    asked = docker_client({"info": ANSWERS})

    engine.ensure_engine("up-otel-stack")

    assert asked.read_text().count("\n") == 1
    assert not state.STATE_DIR.exists()


def test_who_may_not_install_is_told_how_to_get_an_engine(
    docker_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_client({"info": DEAD, "context show": "echo default"})
    monkeypatch.setattr(debian, "can_install", lambda: False)
    monkeypatch.setattr(psutil, "process_iter", lambda _attributes: [])

    with pytest.raises(StackError) as refused:
        engine.ensure_engine()

    assert "no Docker engine answers" in str(refused.value)
    assert "https://docs.docker.com" in str(refused.value)
    assert "RUNTIME=native" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_second_daemon_beside_one_that_does_not_answer(
    docker_client: Client, monkeypatch: pytest.MonkeyPatch, daemon: subprocess.Popen[bytes]
) -> None:
    docker_client({"info": DEAD, "context show": "echo default"})
    running = psutil.Process(daemon.pid)
    running.info = {"name": "dockerd"}
    monkeypatch.setattr(psutil, "process_iter", lambda _attributes: [running])
    monkeypatch.setattr(debian, "can_install", lambda: True)
    monkeypatch.setattr(own_engine, "_start_daemon", lambda: pytest.fail("started a second one"))

    with pytest.raises(StackError, match=rf"runs \(pid {daemon.pid}\) but does not answer"):
        engine.ensure_engine()


def test_an_engine_that_is_started_is_told_of_no_address(
    docker_client: Client, tmp_path: Path
) -> None:
    """Left to itself it listens on its socket alone."""
    # given a dockerd that writes down what it is told
    docker_client({"info": ANSWERS})
    told = tmp_path / "told"
    dockerd = tmp_path / "bin/dockerd"
    dockerd.write_text(f'#!/bin/sh\necho "$*" >{told}.new; mv {told}.new {told}; exec sleep 60\n')
    dockerd.chmod(0o755)
    state.STATE_DIR.mkdir()
    # when
    own_engine._start_daemon()
    # then
    record = state.read()
    assert record is not None
    try:
        wait_for("the words", told.exists, seconds=20)
    finally:
        own_engine.stop(record)
    assert told.read_text().split() == []


def test_the_last_lease_ends_the_engine(
    docker_client: Client, daemon: subprocess.Popen[bytes]
) -> None:
    docker_client({"info": ANSWERS, "ps -q": "true"})
    started(daemon)
    engine.ensure_engine("up-one")
    engine.ensure_engine("up-two")

    engine.release("up-one")
    still_there = daemon.poll() is None
    engine.release("up-two")

    assert still_there
    assert not psutil.pid_exists(daemon.pid)
    assert not (state.STATE_DIR / "engine.json").exists()


def test_an_engine_with_containers_stays(
    docker_client: Client, daemon: subprocess.Popen[bytes]
) -> None:
    docker_client({"ps -q": "echo 0123456789ab"})
    started(daemon, up=0)

    engine.release("up")

    assert daemon.poll() is None


def test_an_engine_that_does_not_say_what_runs_on_it_stays(
    docker_client: Client, daemon: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    docker_client({"ps -q": "exit 1"})
    started(daemon, up=0)

    engine.release("up")

    assert daemon.poll() is None
    assert "the Docker engine stays: it does not say what runs on it" in capsys.readouterr().err


def test_the_lease_of_a_process_that_is_gone_does_not_count(
    docker_client: Client, daemon: subprocess.Popen[bytes]
) -> None:
    docker_client({"ps -q": "true"})
    gone = subprocess.Popen(["true"])
    gone.wait()
    started(daemon, up=0, killed_test=gone.pid)

    engine.release("up")

    assert not psutil.pid_exists(daemon.pid)


def test_a_record_whose_process_is_another_by_now_ends_nothing(
    docker_client: Client, daemon: subprocess.Popen[bytes]
) -> None:
    docker_client({"ps -q": "true"})
    started(daemon, up=0)
    file = state.STATE_DIR / "engine.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"created": 1.0}))

    engine.release("up")

    assert daemon.poll() is None
    assert not file.exists()


def test_an_engine_is_known_again_after_the_clock_was_put_right(
    docker_client: Client, daemon: subprocess.Popen[bytes]
) -> None:
    docker_client({"ps -q": "true"})
    started(daemon, up=0)
    file = state.STATE_DIR / "engine.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps(record | {"created": record["created"] + 5}))

    engine.release("up")

    assert not psutil.pid_exists(daemon.pid)


def test_another_users_engine_is_used_and_left_alone(
    docker_client: Client, daemon: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_client({"info": ANSWERS, "ps -q": "true"})
    started(daemon, roots=0)
    record = (state.STATE_DIR / "engine.json").read_text()
    monkeypatch.setattr(state, "writable", lambda: False)

    engine.ensure_engine("up")
    engine.release("up")

    assert daemon.poll() is None
    assert (state.STATE_DIR / "engine.json").read_text() == record


def test_releasing_without_an_engine_of_ours_does_nothing(docker_client: Client) -> None:
    asked = docker_client({})

    engine.release("up")

    assert asked.read_text() == ""


def test_a_lease_held_by_a_block_is_given_back(
    docker_client: Client, daemon: subprocess.Popen[bytes]
) -> None:
    docker_client({"info": ANSWERS, "ps -q": "true"})
    started(daemon)

    with engine.engine_lease("tests"):
        held = json.loads((state.STATE_DIR / "engine.json").read_text())["leases"]

    assert held == {f"tests-{os.getpid()}": os.getpid()}
    assert not psutil.pid_exists(daemon.pid)
