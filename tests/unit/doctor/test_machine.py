"""Runtime, ports, folders and room on the disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from stack.collector_build import go_on_path
from stack.doctor import machine
from stack.doctor.machine import check_folders, check_ports, check_runtime
from stack.doctor.setup import Setup
from stack.engine import Engine
from stack.errors import StackError
from stack.runtimes.supervisor import RUN_DIR_MARK
from tests.ports import free_ports
from tests.unit.doctor.playing import only, text

Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - the shape of shutil's own
LISTEN = (
    "import socket, sys; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen();"
    "print(s.getsockname()[1], flush=True); sys.stdin.read()"
)


def on_ports(setup: Setup, **ports: int) -> Setup:
    """The setup with these ports alone."""
    process = replace(setup.plan.process("collector"), ports=ports)
    return replace(setup, plan=replace(setup.plan, processes=(process,)))


@pytest.fixture
def free_port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def listener() -> Iterator[Callable[..., int]]:
    """Starts a process that listens, with an environment of its own; gives its port."""
    started: list[subprocess.Popen[str]] = []

    def start(**environment: str) -> int:
        process = subprocess.Popen(
            [sys.executable, "-c", LISTEN],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        return int(process.stdout.readline())

    yield start
    for process in started:
        process.communicate(timeout=60)


def test_free_ports_are_well_while_the_stack_is_down(
    make: Callable[..., Setup], free_port: int
) -> None:
    # given
    setup = on_ports(make(up=False), BACKEND_PORT=free_port)
    # then
    assert only(check_ports(setup)).what == "1 port is free"


def test_a_port_that_a_stranger_holds_is_named_with_the_stranger(
    make: Callable[..., Setup], listener: Callable[..., int]
) -> None:
    # given
    port = listener()
    # then
    for up in (False, True):
        finding = only(check_ports(on_ports(make(up=up), BACKEND_PORT=port)))
        assert finding.verdict == "problem"
        assert finding.what.startswith(f"port {port} (BACKEND_PORT) is taken by python")


def test_a_port_that_this_stack_holds_is_well(
    make: Callable[..., Setup], listener: Callable[..., int]
) -> None:
    # given
    setup = make(up=True)
    port = listener(**{RUN_DIR_MARK: str(setup.plan.run_dir)})
    # then
    assert only(check_ports(on_ports(setup, BACKEND_PORT=port))).what == (
        "1 port is held by this stack"
    )


def test_all_sockets_of_the_machine_are_looked_at_once(
    make: Callable[..., Setup], listener: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a stack that holds two ports
    setup = make(up=True)
    held = [listener(**{RUN_DIR_MARK: str(setup.plan.run_dir)}) for _ in range(2)]
    setup = on_ports(setup, BACKEND_PORT=held[0], OTLP_HTTP_PORT=held[1])
    look, looks = psutil.net_connections, []

    def counted(**asked: Any) -> Any:
        looks.append(asked)
        return look(**asked)

    monkeypatch.setattr(psutil, "net_connections", counted)
    # when
    finding = only(check_ports(setup))
    # then: on a busy machine each look takes as long as this check may take in all
    assert finding.what == "2 ports are held by this stack"
    assert len(looks) == 1


def test_a_port_where_nothing_listens_though_the_stack_is_up(
    make: Callable[..., Setup], free_port: int
) -> None:
    # given
    setup = on_ports(make(up=True), OTLP_HTTP_PORT=free_port)
    # then
    finding = only(check_ports(setup))
    assert (finding.verdict, f"nothing listens on {free_port}" in finding.what) == ("problem", True)


def test_a_run_folder_that_is_yet_to_be_made_is_well(make: Callable[..., Setup]) -> None:
    # given
    setup = make()
    # then
    finding = only(check_folders(setup))
    assert (finding.verdict, "can be written" in finding.what) == ("ok", True)
    assert not setup.plan.run_dir.exists()


def test_a_file_in_the_place_of_the_run_folder(make: Callable[..., Setup], tmp_path: Path) -> None:
    # given
    (tmp_path / "run").write_text("")
    # then
    findings = list(check_folders(make()))
    assert {finding.verdict for finding in findings} == {"problem"}
    assert "run is a file" in findings[0].what


def test_a_folder_of_somebody_else(
    make: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given: root may write everywhere, so the answer of the system is played
    queues = tmp_path / "run/queues"
    queues.mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda path, _: path != queues)
    # when
    finding = only(check_folders(make()))
    # then
    assert finding.verdict == "problem"
    assert f"{queues} cannot be written by this user" in finding.what
    assert "chown" in finding.todo


@pytest.mark.parametrize(
    ("mib", "verdict", "said"),
    [
        (50, "problem", "50 MB are left"),
        (500, "warning", "500 MB are left"),
        (5000, "ok", "4.9 GB"),
    ],
)
def test_room_on_the_disk(
    make: Callable[..., Setup],
    monkeypatch: pytest.MonkeyPatch,
    mib: int,
    verdict: str,
    said: str,
) -> None:
    # given
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, mib * machine.MIB))
    # then
    finding = only(check_folders(make()))
    assert (finding.verdict, said in finding.what) == (verdict, True), finding


def docker(make: Callable[..., Setup]) -> Setup:
    setup = make(up=False)
    return replace(setup, plan=replace(setup.plan, runtime="docker"))


LOCAL = Engine("unix:///var/run/docker.sock", "27.1.0", "2.29.0", "0.16.0")


@pytest.mark.parametrize(
    ("engine", "verdict", "said"),
    [
        (LOCAL, "ok", "would run on Docker 27.1.0, Compose 2.29.0"),
        (None, "problem", "RUNTIME=docker, and DOCKER_HOST is unix:///x, where no Docker engine"),
        (replace(LOCAL, host="ssh://there"), "problem", "does not see this machine's folders"),
        (replace(LOCAL, compose=None), "problem", "no Compose plugin"),
    ],
)
def test_the_docker_runtime(
    make: Callable[..., Setup],
    monkeypatch: pytest.MonkeyPatch,
    engine: Engine | None,
    verdict: str,
    said: str,
) -> None:
    # given
    monkeypatch.setattr("stack.engine.find_engine", lambda: engine)
    monkeypatch.setenv("DOCKER_HOST", "unix:///x")
    # when
    finding = only(check_runtime(docker(make)))
    # then
    assert (finding.verdict, said in finding.what) == (verdict, True), finding


def native(make: Callable[..., Setup], root: Path, **settings: Any) -> Setup:
    """A native setup whose root holds nothing but go.mod."""
    module = root / "collector/build/go.mod"
    module.parent.mkdir(parents=True)
    module.write_text("module x\n\ngo 1.25.0\n")
    setup = make(up=False, **settings)
    return replace(setup, plan=replace(setup.plan, root=root))


def play_go(monkeypatch: pytest.MonkeyPatch, folder: Path, version: str | None) -> None:
    """A `go` on PATH that says this version; none at all for None."""
    folder.mkdir(exist_ok=True)
    if version:
        go = folder / "go"
        go.write_text(f"#!/bin/sh\necho go version go{version} linux/amd64\n")
        go.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize(
    ("go", "said"),
    [
        ("1.26.1", "compiles the collector with Go 1.26.1"),
        ("1.19", "the Go here is 1.19: `make up` takes one from PyPI"),
        (None, "no Go here: `make up` takes one from PyPI"),
    ],
)
def test_how_a_collector_will_be_had(
    make: Callable[..., Setup],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    go: str | None,
    said: str,
) -> None:
    # given
    setup = native(make, tmp_path)
    play_go(monkeypatch, tmp_path / "bin", go)
    # then
    assert said in text(check_runtime(setup))


def test_a_collector_of_the_users_own_that_is_not_there(
    make: Callable[..., Setup], tmp_path: Path
) -> None:
    # given
    setup = native(make, tmp_path, collector_bin=tmp_path / "otelcol")
    # then: the examination turns it into a finding
    with pytest.raises(StackError, match="otelcol is not a file"):
        list(check_runtime(setup))


def test_no_go_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # given
    play_go(monkeypatch, tmp_path, None)
    # then
    assert go_on_path() is None
