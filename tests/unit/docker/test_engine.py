"""Finding an engine, and one line that says how to get one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stack import engine
from stack.errors import StackError
from stack.runtimes.chosen import best_runtime

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


def test_an_engine_that_answers_is_found_with_its_plugins(docker_client: Client) -> None:
    docker_client({"info": ANSWERS})

    found = engine.find_engine()

    assert found == engine.Engine(
        "unix:///var/run/docker.sock", "20.10.24", compose="2.26.1", buildx="0.13.1"
    )


def test_a_rootless_engine_is_known_as_one(docker_client: Client) -> None:
    rootless = INFO | {"SecurityOptions": ["name=seccomp", "name=rootless"]}
    docker_client({"info": f"echo '{json.dumps(rootless)}'"})

    found = engine.find_engine()

    assert found is not None
    assert found.rootless


def test_a_context_gives_the_address(docker_client: Client) -> None:
    elsewhere = INFO | {"ClientInfo": {"Context": "lab", "Plugins": []}}
    docker_client(
        {
            "info": f"echo '{json.dumps(elsewhere)}'",
            "context inspect lab": "echo ssh://lab.example",
        }
    )

    found = engine.find_engine()

    assert found is not None
    assert found.host == "ssh://lab.example"
    assert not found.local
    assert found.compose is None


@pytest.mark.parametrize("answer", [DEAD, 'echo \'{"ServerVersion": ""}\'', "echo Podman"])
def test_what_does_not_answer_is_no_engine(docker_client: Client, answer: str) -> None:
    docker_client({"info": answer})

    assert engine.find_engine() is None


def test_a_hanging_engine_is_given_up(
    docker_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "ANSWER_SECONDS", 0.2)
    docker_client({"info": "exec sleep 30"})

    assert engine.find_engine() is None


def test_without_a_client_there_is_no_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert engine.find_engine() is None


def test_a_dead_docker_host_is_named(
    docker_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_client({"info": DEAD})
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")

    with pytest.raises(StackError) as refused:
        engine.require_engine()

    assert str(refused.value) == (
        "DOCKER_HOST is tcp://127.0.0.1:1, where no Docker engine answers; "
        "start that engine, or unset DOCKER_HOST"
    )


def test_a_dead_context_is_named(docker_client: Client) -> None:
    docker_client({"info": DEAD, "context show": "echo lab"})

    with pytest.raises(StackError, match="the context lab does not answer"):
        engine.require_engine()


def test_missing_plugins_are_named(docker_client: Client) -> None:
    bare = INFO | {"ClientInfo": {"Context": "default", "Plugins": []}}
    docker_client({"info": f"echo '{json.dumps(bare)}'"})

    with pytest.raises(StackError, match="no Compose and no buildx plugin; install it"):
        engine.require_engine()


def test_a_machine_without_an_engine_is_told_how_to_get_one(
    docker_client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_client({"info": DEAD, "context show": "echo default"})
    monkeypatch.setattr(engine, "DEFAULT_HOST", f"unix://{tmp_path / 'none'}")

    with pytest.raises(StackError) as refused:
        engine.require_engine()

    assert str(refused.value) == (
        "no Docker engine answers; install Docker (https://docs.docker.com/engine/install/), "
        "or use RUNTIME=native"
    )


def test_who_may_not_use_the_engine_is_told_of_its_group(
    docker_client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_client({"info": DEAD, "context show": "echo default"})
    socket = tmp_path / "docker.sock"
    socket.touch()
    monkeypatch.setattr(engine, "DEFAULT_HOST", f"unix://{socket}")
    monkeypatch.setattr(os, "access", lambda path, _mode: path != socket)

    with pytest.raises(
        StackError, match=r"docker\.sock: permission denied\); let it into the group"
    ):
        engine.require_engine()


@pytest.mark.parametrize(
    ("compose", "runtime"), [("2.26.1", "docker"), (None, "native")], ids=["whole", "no Compose"]
)
def test_an_engine_runs_the_stack_where_nobody_chose_and_its_client_can(
    compose: str | None, runtime: str
) -> None:
    found = engine.Engine("unix:///var/run/docker.sock", "20.10.24", compose, buildx="0.13.1")

    assert best_runtime(found) == runtime


def test_without_an_engine_the_stack_runs_natively() -> None:
    assert best_runtime(None) == "native"
