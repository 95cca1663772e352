"""The services as processes: gunicorn, and Flask's development server, not instrumented."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import requests
from otel_stack_distro.gunicorn.worker import REQUEST_SECONDS

from stack.waiting import wait_for
from tests.ports import free_ports

SERVICES = Path(__file__).resolve().parents[3] / "services"
GUNICORN = [sys.executable, "-m", "gunicorn"]
DEADLINE = 60
"""For the machine: beside other work a service took 17 s for its first answer."""


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def get(self, path: str) -> requests.Response:
        """The first answer. Fails with what the server printed when it ends or is too late."""
        deadline = time.monotonic() + DEADLINE
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                # The port takes connections before there is a worker that answers.
                return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=DEADLINE)
            except requests.ConnectionError:
                time.sleep(0.02)  # between two tries
        raise AssertionError(f"no answer to {path}: {self.log.read_text()}")

    def stop(self) -> int:
        """The exit code after SIGTERM."""
        self.process.terminate()
        return self.process.wait(DEADLINE)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start a service's command: `start(service, command, VARIABLE=value …)`."""
    servers: list[Server] = []

    def start(service: str, command: list[str], **environment: str) -> Server:
        [port] = free_ports(1)
        log = tmp_path / f"log-{port}"
        home = tmp_path / "home"
        home.mkdir()
        with log.open("w") as output:
            process = subprocess.Popen(
                [word.replace("PORT", str(port)) for word in command],
                cwd=SERVICES / service,
                env={
                    "PATH": os.defpath,
                    "PYTHONPATH": f"{SERVICES.parent / 'distro/src'}:{SERVICES / service}",
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "BIND": f"127.0.0.1:{port}",
                    "DATABASE_URL": f"sqlite:///{tmp_path}/cruddur.db",
                    "PROFILES_URL": "http://127.0.0.1:1",
                    "HOME": str(home),
                    **environment,
                },
                stdout=output,
                stderr=output,
            )
        servers.append(Server(process, port, log))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def save(file: Path, text: str) -> None:
    """Whole at once: a worker that starts in between would end gunicorn over half a source."""
    whole = file.with_suffix(".new")
    whole.write_text(text)
    whole.replace(file)


@pytest.mark.parametrize(
    ("service", "path", "source"),
    [
        ("backend", "/api/activities/home", "cruddur/routes/home.py"),
        ("profiles", "/api/profiles?handles=worf", "profiles/routes.py"),
    ],
)
def test_a_service_under_development_follows_its_sources(
    start: Callable[..., Server], tmp_path: Path, service: str, path: str, source: str
) -> None:
    # given
    shutil.copytree(SERVICES / service, tmp_path / service)
    server = start(str(tmp_path / service), GUNICORN, RELOAD="true", WEB_CONCURRENCY="1")
    assert server.get(path).text != "followed"
    # when
    file = tmp_path / service / source
    save(file, re.sub(r"return jsonify\(.*\)", 'return "followed"', file.read_text()))

    def saved_again() -> str:
        # gunicorn's first look at the sources may come after a service's first answer.
        file.touch()
        return server.get(path).text

    # then
    wait_for(
        "the new source",
        saved_again,
        until=lambda said: said == "followed",
        seconds=DEADLINE,
    )


def test_a_service_under_development_follows_the_distros_sources(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    # given
    shutil.copytree(SERVICES.parent / "distro/src", tmp_path / "src")
    paths = f"{tmp_path / 'src'}:{SERVICES / 'profiles'}"
    server = start("profiles", GUNICORN, RELOAD="true", WEB_CONCURRENCY="1", PYTHONPATH=paths)
    assert "followed" not in server.get("/api/health-check").text
    # when
    file = tmp_path / "src/otel_stack_distro/flask/health.py"
    save(file, file.read_text().replace("success=True", 'success="followed"'))

    def saved_again() -> str:
        file.touch()
        return server.get("/api/health-check").text

    # then
    wait_for("the new source", saved_again, until=lambda said: "followed" in said, seconds=DEADLINE)


@pytest.mark.parametrize(
    ("service", "path"),
    [("backend", "/api/activities/home"), ("profiles", "/api/profiles?handles=worf&t=hunter2")],
)
def test_gunicorn_serves_logs_json_and_ends_on_sigterm(
    start: Callable[..., Server], tmp_path: Path, service: str, path: str
) -> None:
    server = start(service, GUNICORN, OTEL_SERVICE_NAME="a-service")

    assert server.get(path).status_code == 200
    # One of two workers is enough for an answer.
    wait_for(
        "both workers",
        server.log.read_text,
        until=lambda said: said.count("Booting worker") == 2,
        seconds=DEADLINE,
    )
    code = server.stop()

    assert code == 0
    records = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert {record["service"] for record in records} == {"a-service"}
    (access,) = [record for record in records if record["logger"] == "access"]
    assert access["url.path"] == path.partition("?")[0]
    assert "hunter2" not in server.log.read_text()
    assert sum("Booting worker" in record["message"] for record in records) == 2
    # gunicorn 27 opens a control socket under HOME unless told not to
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere gunicorn's workers look themselves")
def test_workers_end_with_a_master_that_is_killed(start: Callable[..., Server]) -> None:
    # given: workers that wait for a request, which is when gunicorn looks at the parent rarely
    server = start("profiles", GUNICORN)
    server.get("/api/health-check")
    # Both: one that starts has not set yet what a signal does.
    wait_for("an answer beside another", lambda: _answers_beside(server), seconds=DEADLINE)
    workers = psutil.Process(server.process.pid).children()
    assert len(workers) == 2

    # when
    server.process.kill()

    # then: they end before they look at the parent, and the port is the next master's
    wait_for("the workers' end", lambda: not any(map(_runs, workers)), seconds=DEADLINE)
    assert "Parent changed" not in server.log.read_text()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", server.port))


def _answers_beside(server: Server) -> bool:
    """Whether a worker answers while the other one is busy with a request that is not whole."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as slow:
        slow.sendall(b"GET /api/health-check HTTP/1.1\r\n")
        server.get("/api/health-check")
        slow.sendall(b"Host: a\r\n\r\n")
        return slow.recv(12) == b"HTTP/1.1 200"


def _runs(process: psutil.Process) -> bool:
    # A zombie waits for an init that may take its time.
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_a_wrong_setting_ends_gunicorn_with_one_line(start: Callable[..., Server]) -> None:
    server = start("backend", GUNICORN, DEBUG_ROUTES="perhaps")

    assert server.process.wait(DEADLINE) == 1
    said = [line for line in server.log.read_text().splitlines() if not line.startswith("{")]
    assert said == ["error: DEBUG_ROUTES is 'perhaps'. It has to be true or false."]


@pytest.mark.parametrize(("service", "app"), [("backend", "cruddur"), ("profiles", "profiles")])
def test_flasks_own_server_runs_them_too(
    start: Callable[..., Server], service: str, app: str
) -> None:
    command = [sys.executable, "-m", "flask", "--app", app, "run", "--port", "PORT"]
    server = start(service, command)

    assert server.get("/api/nothing?q=hunter2").status_code == 404

    server.stop()
    assert "hunter2" not in server.log.read_text()
    assert "Running on" in server.log.read_text()


def test_reload_starts_workers_anew_when_a_source_changes(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    # given: an app of its own, so that no source of ours has to be touched
    module = tmp_path / "changing.py"
    source = "def app(environ, start):\n    start('200 OK', [])\n    return [b'TEXT']\n"
    module.write_text(source.replace("TEXT", "before"))
    command = [*GUNICORN, "--pythonpath", str(tmp_path), "changing:app"]
    server = start("backend", command, RELOAD="true", WEB_CONCURRENCY="1")
    assert server.get("/").text == "before"

    # when, then: gunicorn takes the time of a file that it sees first for the old one, so a change
    # that comes at once can pass unnoticed; written until it is served
    deadline = time.monotonic() + DEADLINE
    while (text := server.get("/").text) != "after it":
        assert time.monotonic() < deadline, f"still {text!r}: {server.log.read_text()}"
        save(module, source.replace("TEXT", "after it"))
        time.sleep(0.2)  # between two tries


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's to keep; Linux's does")
def test_connections_that_say_nothing_keep_nobody_waiting(start: Callable[..., Server]) -> None:
    # given: as browsers open them, ahead of need
    server = start("profiles", GUNICORN, WEB_CONCURRENCY="1")
    server.get("/api/health-check")
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
    # when
    began = time.monotonic()
    answer = server.get("/api/health-check")
    # then
    assert answer.ok
    assert time.monotonic() - began < REQUEST_SECONDS
    # and one that speaks at last is heard
    silent[0].sendall(b"GET /api/health-check HTTP/1.1\r\nHost: a\r\n\r\n")
    silent[0].settimeout(DEADLINE)
    assert silent[0].recv(12) == b"HTTP/1.1 200"
    for connection in silent:
        connection.close()


@pytest.mark.parametrize(
    ("began", "ended"),
    [
        (b"GET /api/health-check HTTP/1.1\r\nX-Slow: ", b""),
        (
            b"POST /api/activities HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n%s\r\n"
            % b"Content-Type: application/json\r\n",
            b"HTTP/1.1 400",
        ),
    ],
    ids=["headers", "body"],
)
def test_a_request_that_comes_byte_by_byte_does_not_hold_its_worker(
    start: Callable[..., Server], began: bytes, ended: bytes
) -> None:
    # given
    server = start("backend", GUNICORN, WEB_CONCURRENCY="1")
    server.get("/api/health-check")
    [worker] = psutil.Process(server.process.pid).children()
    asked_at = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as slow:
        slow.sendall(began)
        # when it goes on for as long as it is let
        said = wait_for(
            "an end of the slow one",
            lambda: _after_one_more_byte(slow),
            until=lambda said: said is not None,
            seconds=DEADLINE,
        )
    # then
    assert said == ended
    # gunicorn would kill it after 30 s
    assert REQUEST_SECONDS <= time.monotonic() - asked_at < 2 * REQUEST_SECONDS
    assert server.get("/api/health-check").ok
    assert worker.is_running()  # none was killed for it
    assert '"ERROR"' not in server.log.read_text()


def _after_one_more_byte(slow: socket.socket) -> bytes | None:
    """What the other side has said, at its end; None before."""
    # Reset, as a byte came behind the answer: that can be read all the same.
    with suppress(ConnectionError):
        slow.sendall(b"x")
    try:
        slow.settimeout(0.2)
        return slow.recv(12)
    except TimeoutError:
        return None
    except ConnectionError:
        return b""


def test_the_images_probe_tells_a_service_that_serves_from_one_that_does_not(
    start: Callable[..., Server],
) -> None:
    server = start("profiles", GUNICORN)
    server.get("/api/health-check")

    assert probe(server.port).returncode == 0

    server.stop()
    gone = probe(server.port)
    assert gone.returncode == 1
    assert f"no answer from 127.0.0.1:{server.port}" in gone.stderr


def probe(port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-IS", str(SERVICES / "probe.py")),
            f"http://127.0.0.1:{port}/api/health-check",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
