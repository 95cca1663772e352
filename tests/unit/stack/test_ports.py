"""Who holds a port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from stack.errors import StackError
from stack.ports import check_free, holder, is_free
from stack.ports import taken as taken_port
from stack.runtimes.supervisor import RUN_DIR_MARK
from stack.waiting import wait_for
from tests.ports import free_ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_a_free_port_is_no_error() -> None:
    # given: none that the kernel gives to others meanwhile
    [port] = free_ports(1)
    # then
    check_free({"BACKEND_PORT": port})


def test_a_taken_port_is_told_with_its_setting_and_the_process_that_holds_it(taken: int) -> None:
    # when
    with pytest.raises(StackError) as told:
        check_free({"BACKEND_PORT": taken})
    # then
    program = psutil.Process().name()
    assert str(told.value) == (
        f"port {taken} (BACKEND_PORT) is taken by {program} (pid {os.getpid()}); "
        "stop that process, or set BACKEND_PORT to another port in .env"
    )


def test_a_port_held_on_every_address_counts_as_taken() -> None:
    with (
        socket.create_server(("0.0.0.0", 0)) as server,  # noqa: S104 — what is tested
        pytest.raises(StackError, match="is taken by"),
    ):
        check_free({"BACKEND_PORT": server.getsockname()[1]})


def test_a_port_in_time_wait_can_be_had() -> None:
    # given a connection that the server closed first
    [port] = free_ports(1)
    with socket.create_server(("127.0.0.1", port)) as server:
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()
        client.close()
    # then
    check_free({"BACKEND_PORT": port})


def test_without_the_right_to_see_it_the_holder_has_no_pid(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    def denied(**_: str) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", denied)
    # then
    assert str(holder(taken)) == "another user's process"


def test_a_port_of_another_clones_process_names_its_folder(tmp_path: Path) -> None:
    # given
    [port] = free_ports(1)
    serve = f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(60)"
    environment = {**os.environ, RUN_DIR_MARK: str(tmp_path / ".run")}
    other = subprocess.Popen([sys.executable, "-c", serve], env=environment)
    try:
        wait_for("the other clone listens", lambda: not is_free(port), seconds=60)
        # when
        told = str(taken_port("BACKEND_PORT", port))
    finally:
        other.kill()
        other.wait()
    # then
    assert f"(pid {other.pid}) of the stack in {tmp_path}; `make down` in {tmp_path}, or" in told
    assert "PORT_OFFSET=100" in told
