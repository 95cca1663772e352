"""A Docker engine: found, or installed and started where that is possible, and stopped again.

An engine that was there is never touched. One that this project started is recorded under
`STATE_DIR` with the leases on it, and ends with the last lease.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from stack import debian
from stack.console import console, step
from stack.errors import StackError
from stack.program import ProgramError, run
from stack.waiting import DeadlineError, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

STATE_DIR = Path("/run/otel-stack")
ENGINE_LOG = Path("/var/log/otel-stack-dockerd.log")
PLUGIN_SUITE = "trixie"
"""Debian's first release with Compose v2 and buildx as packages; its static binaries run on any."""

DEFAULT_HOST = "unix:///var/run/docker.sock"
HOW_TO = "install Docker (https://docs.docker.com/engine/install/), or use RUNTIME=native"

_ANSWER_SECONDS = 10
_START_SECONDS = 60
_STOP_SECONDS = 30
_LOCK_SECONDS = 900


@dataclass(frozen=True)
class Engine:
    """`host` as in DOCKER_HOST. `compose` and `buildx`: versions of the plugins, None without.

    `rootless`: root inside of a container is the engine's unprivileged user outside.
    """

    host: str
    version: str
    compose: str | None
    buildx: str | None
    rootless: bool = False

    @property
    def local(self) -> bool:
        """Whether the engine sees this machine's folders and its ports are this machine's."""
        return self.host.startswith(("unix://", "npipe://"))


@dataclass
class _Record:
    """The engine that this project started.

    `leases`: pid of the holder by name, 0 = until released.
    """

    pid: int
    created: float
    bridge_before: bool
    leases: dict[str, int] = field(default_factory=dict)

    def alive(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            return (
                process.create_time() == self.created and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return False


def find_engine() -> Engine | None:
    """The engine that answers the docker client here, by DOCKER_HOST, context or default socket.

    None when there is no client or no answer within 10 s.
    """
    if shutil.which("docker") is None:
        return None
    try:
        info = json.loads(run(["docker", "info", "--format", "json"], seconds=_ANSWER_SECONDS))
    except (ProgramError, ValueError):
        return None
    if not info.get("ServerVersion"):
        return None
    client = info.get("ClientInfo") or {}
    plugins = {plugin["Name"]: plugin.get("Version", "") for plugin in client.get("Plugins") or []}
    return Engine(
        host=_host(client.get("Context", "default")),
        version=info["ServerVersion"],
        compose=plugins.get("compose"),
        buildx=plugins.get("buildx"),
        rootless=any("rootless" in option for option in info.get("SecurityOptions") or []),
    )


def ensure_engine(lease: str | None = None, pid: int = 0) -> Engine:
    """An engine with Compose and buildx, installed and started by root on Debian if need be.

    `lease` keeps an engine that this project started alive until `release(lease)`, or until the
    process `pid` is gone. Raises StackError that says how to get an engine.
    """
    try:
        engine = find_engine()
        if engine is None:
            _check_ours()
        leased = lease is not None and _record_file().exists() and _may_write_state()
        if engine is None or leased:
            with _locked():
                engine = find_engine() or _start()
                if lease is not None:
                    _hold(lease, pid)
        if engine.compose is None or engine.buildx is None:
            engine = _add_plugins(engine)
    except BaseException:
        if lease is not None:
            release(lease)
        raise
    return engine


def release(lease: str) -> None:
    """Give back `lease`; ends the engine if this project started it and nobody else needs it."""
    if not (_record_file().exists() and _may_write_state()):
        return
    with _locked():
        record = _read_record()
        if record is None:
            return
        record.leases.pop(lease, None)
        record.leases = {
            name: pid for name, pid in record.leases.items() if pid == 0 or psutil.pid_exists(pid)
        }
        _write_record(record)
        if record.leases:
            return
        running = _running_containers()
        if running:
            console.print(
                f"  the Docker engine stays: {running} container(s) run on it", soft_wrap=True
            )
            return
        with step("stopping the Docker engine that was started here"):
            _stop(record)


@contextmanager
def engine_lease(name: str) -> Iterator[Engine]:
    """An engine for as long as the block runs, or this process lives."""
    lease = f"{name}-{os.getpid()}"
    try:
        yield ensure_engine(lease, os.getpid())
    finally:
        release(lease)


def _hold(lease: str, pid: int) -> None:
    record = _read_record()
    if record is not None:
        record.leases[lease] = pid
        _write_record(record)


def _host(context: str) -> str:
    if os.environ.get("DOCKER_HOST"):
        return os.environ["DOCKER_HOST"]
    if context == "default":
        return DEFAULT_HOST
    template = "{{.Endpoints.docker.Host}}"
    try:
        return run(["docker", "context", "inspect", context, "--format", template],
                   seconds=_ANSWER_SECONDS).strip()  # fmt: skip
    except ProgramError:
        return DEFAULT_HOST


def _start() -> Engine:
    """Install and start an engine; the lock is held."""
    _check_may_start()
    if _program("dockerd") is None or shutil.which("docker") is None:
        with step("installing a Docker engine from Debian's packages (about half a minute)"):
            debian.install(_packages())
    with step("starting the Docker engine"):
        if Path("/run/systemd/system").exists():
            return _start_by_systemd()
        return _start_daemon()


def _check_ours() -> None:
    """Raise StackError where the client is told to use an engine that is not for us to start."""
    host = os.environ.get("DOCKER_HOST")
    if host:
        raise StackError(
            f"DOCKER_HOST is {host}, where no Docker engine answers",
            "start that engine, or unset DOCKER_HOST",
        )
    context = _context()
    if context != "default":
        raise StackError(
            f"the Docker engine of the context {context} does not answer",
            "start it, or choose another with `docker context use`",
        )


def _check_may_start() -> None:
    """Raise StackError with the reason why no engine can be started here."""
    for process in psutil.process_iter(["name"]):
        # A second dockerd beside a running one deletes the first one's bridge (seen with 20.10).
        if process.info["name"] == "dockerd":
            raise StackError(
                f"a Docker engine runs (pid {process.pid}) but does not answer {_user()}",
                "look at its log, or let this user into the group docker",
            )
    if not debian.can_install():
        missing = "not Debian" if os.geteuid() == 0 else "not root"
        raise StackError(
            f"no Docker engine answers, and none can be installed from here ({missing})", HOW_TO
        )


def _context() -> str:
    if shutil.which("docker") is None:
        return "default"
    try:
        return run(["docker", "context", "show"], seconds=_ANSWER_SECONDS).strip()
    except ProgramError:
        return "default"


def _user() -> str:
    return "root" if os.geteuid() == 0 else f"user {os.geteuid()}"


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
    record = _Record(daemon.pid, psutil.Process(daemon.pid).create_time(), bridge_before)
    _write_record(record)
    try:
        return _wait_for_engine(daemon)
    except BaseException as failed:
        _stop(record)
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


def _stop(record: _Record) -> None:
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
    _record_file().unlink(missing_ok=True)


def _bridge_exists() -> bool:
    return Path("/sys/class/net/docker0").exists()


def _running_containers() -> int:
    try:
        return len(run(["docker", "ps", "-q"], seconds=_ANSWER_SECONDS).split())
    except ProgramError:
        return 0


def _add_plugins(engine: Engine) -> Engine:
    """Compose and buildx from Debian's packages, for this user's docker client."""
    missing = {"compose": engine.compose, "buildx": engine.buildx}
    names = [f"docker-{name}" for name, version in missing.items() if version is None]
    if not debian.is_debian():
        raise StackError(
            f"the docker client has no {' and no '.join(names)} plugin",
            "install it (https://docs.docker.com/compose/install/linux/), or use RUNTIME=native",
        )
    config = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    plugins = config / "cli-plugins"
    with step(f"fetching {' and '.join(names)} for the docker client"):
        plugins.mkdir(parents=True, exist_ok=True)
        scratch = plugins / f".otel-stack-{os.getpid()}"
        try:
            debian.fetch(names, PLUGIN_SUITE, scratch)
            for name in names:
                # Another command may do the same at this moment: each file appears whole.
                (scratch / "usr/libexec/docker/cli-plugins" / name).replace(plugins / name)
        except (ProgramError, OSError) as failed:
            raise StackError(
                f"{' and '.join(names)} could not be fetched ({failed})",
                "install them by hand, then try again",
            ) from None
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    found = find_engine()
    if found is None or found.compose is None or found.buildx is None:
        raise StackError(f"the docker client does not take the plugins in {plugins}", HOW_TO)
    return found


def _may_write_state() -> bool:
    """Whether leases are this user's to keep; another one's containers keep root's engine alive."""
    return os.access(STATE_DIR if STATE_DIR.exists() else STATE_DIR.parent, os.W_OK)


@contextmanager
def _locked() -> Iterator[None]:
    """One command at a time starts or stops an engine on this machine."""
    if not _may_write_state():
        # Not root: nothing to install, to start or to stop here, and so nothing to guard.
        yield
        return
    STATE_DIR.mkdir(mode=0o755, exist_ok=True)
    with (STATE_DIR / "lock").open("w") as lock:
        try:
            wait_for("another command is done with the engine", lambda: _try_lock(lock.fileno()),
                     seconds=_LOCK_SECONDS, pause=0.2)  # fmt: skip
        except DeadlineError:
            raise StackError(
                "another command has been busy with the Docker engine for 15 minutes",
                f"see who holds {STATE_DIR / 'lock'}",
            ) from None
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _record_file() -> Path:
    return STATE_DIR / "engine.json"


def _read_record() -> _Record | None:
    """The engine that this project started and that still runs."""
    path = _record_file()
    try:
        values: dict[str, Any] = json.loads(path.read_text())
        record = _Record(**values)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        path.unlink()
        return None
    if not record.alive():
        path.unlink(missing_ok=True)
        return None
    return record


def _write_record(record: _Record) -> None:
    path = _record_file()
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(asdict(record)))
    fresh.replace(path)


if __name__ == "__main__":
    # `python -m stack.engine NAME` takes a lease by hand, `python -m stack.engine -r NAME` ends it.
    if sys.argv[1:2] == ["-r"]:
        release(sys.argv[2])
    else:
        console.print(ensure_engine(sys.argv[1]))
