"""An engine of our own: installed where that is possible, started, and ended again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil

from stack.console import step
from stack.engine import ANSWER_SECONDS, HOW_TO, Engine, find_engine, unanswered
from stack.errors import StackError
from stack.program import ProgramError, run
from stack.waiting import DeadlineError, wait_for
from tools.test_machine import debian
from tools.test_machine.engine import state

ENGINE_LOG = Path("/var/log/otel-stack-dockerd.log")

_START_SECONDS = 60
_STOP_SECONDS = 30


def start() -> Engine:
    """Install and start an engine; the lock is held."""
    _check_may_start()
    if _program("dockerd") is None or shutil.which("docker") is None:
        with step("installing a Docker engine from Debian's packages (about half a minute)"):
            debian.install(_packages())
    with step("starting the Docker engine"):
        if Path("/run/systemd/system").exists():
            return _start_by_systemd()
        return _start_daemon()


def _check_may_start() -> None:
    """Raise StackError with the reason why no engine can be started here."""
    refused = unanswered()
    # An engine that somebody chose by its address or context is not for us to start.
    if refused.todo != HOW_TO or not debian.can_install():
        raise refused
    for process in psutil.process_iter(["name"]):
        # A second dockerd beside a running one deletes the first one's bridge (seen with 20.10).
        if process.info["name"] == "dockerd":
            raise StackError(
                f"a Docker engine runs (pid {process.pid}) but does not answer",
                "look at its log",
            )


def _packages() -> list[str]:
    """What is missing. mmdebstrap, which makes base images, comes along in the same run of apt."""
    wanted = {"dockerd": "docker.io", "iptables": "iptables", "mmdebstrap": "mmdebstrap"}
    packages = [package for program, package in wanted.items() if _program(program) is None]
    # From trixie on the client is a package of its own; docker.io brings it before.
    if shutil.which("docker") is None and debian.available("docker-cli"):
        packages.append("docker-cli")
    return packages


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def _start_by_systemd() -> Engine:
    """A service of the machine, like any other: started, and left to the machine."""
    try:
        run(["systemctl", "start", "docker"], seconds=_START_SECONDS)
        return _wait_for_engine()
    except (ProgramError, DeadlineError) as failed:
        raise StackError(
            f"the service docker does not start ({failed})", "see `journalctl -u docker`"
        ) from None


def _start_daemon() -> Engine:
    bridge_before = _bridge_exists()
    with ENGINE_LOG.open("wb") as log:
        daemon = subprocess.Popen(
            [_program("dockerd") or "dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            # Away from the terminal, whose Ctrl-C is not meant for it.
            start_new_session=True,
        )
    record = state.Record(daemon.pid, psutil.Process(daemon.pid).create_time(), bridge_before)
    state.write(record)
    try:
        return _wait_for_engine(daemon)
    except BaseException as failed:
        stop(record)
        if isinstance(failed, DeadlineError):
            raise StackError(
                f"the Docker engine does not start ({_last_error() or failed})",
                f"its log is {ENGINE_LOG}; or use RUNTIME=native",
            ) from None
        raise


def _wait_for_engine(daemon: subprocess.Popen[bytes] | None = None) -> Engine:
    def look() -> Engine | None:
        if daemon is not None and daemon.poll() is not None:
            raise DeadlineError("dockerd", 0, f"exit code {daemon.returncode}")
        return find_engine()

    found = wait_for(
        "the Docker engine answers", look, until=bool, seconds=_START_SECONDS, pause=0.2
    )
    assert found is not None  # noqa: S101 - `until` saw to it
    return found


def _last_error() -> str:
    lines = ENGINE_LOG.read_text(errors="replace").splitlines()
    telling = [line for line in lines if "level=error" in line or "failed to start" in line]
    return telling[-1].partition("msg=")[2].strip('"') or telling[-1] if telling else ""


def stop(record: state.Record) -> None:
    """End the engine of `record`, its containerd and proxies, and the bridge that it made."""
    if record.alive():
        process = psutil.Process(record.pid)
        family = [process, *process.children(recursive=True)]
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs(family, timeout=_STOP_SECONDS)
        for straggler in left:
            with suppress(psutil.NoSuchProcess):
                straggler.kill()
        psutil.wait_procs(left, timeout=5)
    if _bridge_exists() and not record.bridge_before:
        with suppress(ProgramError):
            run(["ip", "link", "delete", "docker0"], seconds=5)
    state.file().unlink(missing_ok=True)


def _bridge_exists() -> bool:
    return Path("/sys/class/net/docker0").exists()


def running_containers() -> int | None:
    """None where the engine does not say."""
    try:
        return len(run(["docker", "ps", "-q"], seconds=ANSWER_SECONDS).split())
    except ProgramError:
        return None
