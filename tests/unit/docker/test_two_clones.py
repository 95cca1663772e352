"""Two clones on one machine: a stack belongs to its folder."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stack import ports
from stack.errors import StackError
from stack.runtimes import chosen, containers, docker, native
from stack.services import Plan, plan_to_stop
from stack.settings import Settings, load_settings
from tests.ports import free_ports

Client = Callable[..., Path]

PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]*")
"""What Compose takes for a project's name."""


def _plan(folder: Path | str, **settings: str) -> Plan:
    return plan_to_stop(Settings(**settings), Path(folder), "docker")  # type: ignore[arg-type]


def test_a_project_is_called_after_its_folder() -> None:
    folders = ("/home/me/otel-stack", "/home/you/otel-stack", "/srv/Mein Ordner (2)", "/", "/ä")
    # when
    names = [_plan(folder).project for folder in folders]
    # then
    assert len({*names}) == len(folders)
    assert all(PROJECT.fullmatch(name) for name in names), names
    assert names[0].startswith("otel-stack-")
    assert "mein-ordner-2" in names[2]
    # and: each time the same
    assert names == [_plan(folder).project for folder in folders]


def test_a_second_run_folder_is_a_second_stack() -> None:
    assert _plan("/home/me/clone").project != _plan("/home/me/clone", run_dir="other").project


def test_a_name_of_ones_own_is_taken_as_it_is() -> None:
    assert _plan("/home/me/clone", project="mine").project == "mine"


def test_only_this_folders_containers_are_asked_for(docker_client: Client, tmp_path: Path) -> None:
    # given: a client whose engine runs nothing
    asked = docker_client({"ps": "true"})
    plan = _plan(tmp_path, project="shared")
    # when
    docker.is_running(plan)
    containers.containers_of(plan)
    # then
    own = f"--filter=label=com.docker.compose.project.working_dir={tmp_path}/compose"
    lines = asked.read_text().splitlines()
    assert len(lines) == 2
    assert all(own in line for line in lines)


def test_a_project_of_another_clone_is_known_as_its(docker_client: Client, tmp_path: Path) -> None:
    plan = _plan(tmp_path, project="shared")
    # given
    docker_client({"ps": "printf '%s\\n' /home/me/other/compose /home/me/other/compose"})
    # then
    assert containers.other_folder(plan) == Path("/home/me/other")
    # given
    docker_client({"ps": f"echo {tmp_path}/compose"})
    # then
    assert containers.other_folder(plan) is None
    # given
    docker_client({"ps": "true"})
    # then
    assert containers.other_folder(plan) is None


@pytest.mark.parametrize(
    ("asked", "first"), [("native", "native"), ("docker", "docker"), (None, "native")]
)
def test_the_runtime_that_was_asked_for_is_looked_at_first(asked: str | None, first: str) -> None:
    order = chosen.in_order(asked)
    assert order[0] == first
    assert sorted(order) == ["docker", "native"]


def test_with_a_native_stack_the_engine_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    def ask(_plan: Plan) -> bool:
        raise AssertionError("the engine was asked")

    monkeypatch.setattr(docker, "is_running", ask)
    monkeypatch.setattr(native, "is_running", lambda _plan: True)
    monkeypatch.setattr(chosen, "load_settings", lambda root: load_settings(root, {}))
    # then
    plan = chosen.plan_of_running()
    assert plan is not None
    assert plan.runtime == "native"


@pytest.mark.parametrize(
    ("project", "ending"),
    [
        (_plan("/home/me/other").project, "`make down` in /home/me/other"),
        ("otel-stack", "`PROJECT=otel-stack make down` in /home/me/other"),
    ],
)
def test_a_port_of_another_clones_container_names_its_folder(
    docker_client: Client, monkeypatch: pytest.MonkeyPatch, project: str, ending: str
) -> None:
    # given: what holds a container's port is a process of the engine
    [port] = free_ports(1)
    listed = f"printf 'other-collector-1\\t{project}\\t%s\\n' /home/me/other/compose"
    asked = docker_client({f"ps --filter=publish={port}": listed})
    real = ports._process
    monkeypatch.setattr(ports, "_process", lambda pid: replace(real(pid), program="docker-proxy"))
    # when
    with socket.create_server(("127.0.0.1", port)), pytest.raises(StackError) as told:
        ports.check_free({"OTLP_HTTP_PORT": port})
    # then
    assert str(told.value) == (
        f"port {port} (OTLP_HTTP_PORT) is taken by the container other-collector-1 of the stack in "
        f"/home/me/other; {ending}, or move this stack's ports with PORT_OFFSET=100 in .env"
    )
    assert len(asked.read_text().splitlines()) == 1


def test_a_container_of_somebody_elses_is_no_stack(
    docker_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    [port] = free_ports(1)
    docker_client({f"ps --filter=publish={port}": "printf 'nginx\\t\\t\\n'"})
    real = ports._process
    monkeypatch.setattr(ports, "_process", lambda pid: replace(real(pid), program="docker-proxy"))

    with socket.create_server(("127.0.0.1", port)):
        assert str(ports.holder(port)) == "the container nginx"
