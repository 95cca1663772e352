"""Who holds a port of this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from stack.compose_file import COMPOSE_FILE
from stack.errors import StackError
from stack.program import ProgramError, run
from stack.runtimes.containers import ASK_SECONDS, FOLDER_LABEL, PROJECT_LABEL
from stack.runtimes.supervisor import RUN_DIR_MARK
from stack.services import project_of

PUBLISHERS = frozenset({"docker-proxy", "rootlesskit", "com.docker.backend", "dockerd"})
"""Programs that listen for a container."""


@dataclass(frozen=True)
class Holder:
    """`stack`: the folder of the stack that it is a part of. `ending`: what stops that one."""

    pid: int | None
    program: str
    stack: Path | None = None
    ending: str = ""

    def __str__(self) -> str:
        program = f"{self.program} (pid {self.pid})" if self.pid else self.program
        return f"{program} of the stack in {self.stack}" if self.stack else program


def check_free(ports: Mapping[str, int]) -> None:
    """Raise StackError for the first port on 127.0.0.1 that another process holds."""
    for name, port in ports.items():
        if not is_free(port):
            raise taken(name, port)


def taken(name: str, port: int) -> StackError:
    """What is wrong with a port that somebody holds. Looks at all sockets of this machine."""
    by = holder(port)
    if by.stack:
        todo = f"{by.ending}, or move this stack's ports with PORT_OFFSET=100 in .env"
    else:
        todo = f"stop that process, or set {name} to another port in .env"
    return StackError(f"port {port} ({name}) is taken by {by}", todo)


def is_free(port: int) -> bool:
    """Whether a server can have `port` of 127.0.0.1."""
    with socket.socket() as probe:
        # As servers do: a port in TIME_WAIT can be had.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listeners() -> dict[int, int | None] | None:
    """The process behind each TCP port, None for another user's; nothing where that is a secret."""
    # One look at all sockets: asking port by port took 6 s with a stack that is up.
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return None  # macOS tells root alone
    return {
        connection.laddr.port: connection.pid
        for connection in connections
        if connection.laddr and connection.status == psutil.CONN_LISTEN
    }


def holders(ports: Iterable[int]) -> dict[int, Holder]:
    """Who holds each of `ports` that is not free."""
    listening = listeners()
    return {port: _holder(port, listening) for port in ports if not is_free(port)}


def holder(port: int) -> Holder:
    """The process that listens on `port`; without the right to see it, one that has no pid."""
    return _holder(port, listeners())


def _holder(port: int, listening: Mapping[int, int | None] | None) -> Holder:
    if listening is not None and port not in listening:
        return Holder(None, "a process that is just ending")
    found = _process((listening or {}).get(port))
    # A container's port is held for it by a process of the engine's, mostly root's.
    published = found.pid is None or found.program in PUBLISHERS
    return (_container(port) if published else None) or found


def _process(pid: int | None) -> Holder:
    if pid is None:
        return Holder(None, "another user's process")
    try:
        process = psutil.Process(pid)
        program = process.name()
    except psutil.Error:
        return Holder(pid, "a process")
    try:
        run_dir = process.environ().get(RUN_DIR_MARK)
    except (psutil.Error, OSError):
        run_dir = None  # another user's
    if not run_dir:
        return Holder(pid, program)
    if Path(run_dir).name == ".run":
        clone = Path(run_dir).parent
        return Holder(pid, program, clone, f"`make down` in {clone}")
    return Holder(pid, program, Path(run_dir), f"`RUN_DIR={run_dir} make down` in its clone")


def _container(port: int) -> Holder | None:
    """The container that publishes `port`; None where no engine tells of one."""
    labels = "".join(f'\t{{{{.Label "{label}"}}}}' for label in (PROJECT_LABEL, FOLDER_LABEL))
    try:
        told = [f"--filter=publish={port}", f"--format={{{{.Names}}}}{labels}"]
        listed = run(["docker", "ps", *told], seconds=ASK_SECONDS)
    except ProgramError:
        return None
    for line in listed.splitlines():
        name, project, folder = line.split("\t")
        if Path(folder).name != COMPOSE_FILE.parent.name:
            return Holder(None, f"the container {name}")
        clone = Path(folder).parent
        # A name of its own, of PROJECT's as it is now or was.
        own = "" if project == project_of(clone, clone / ".run") else f"PROJECT={project} "
        return Holder(None, f"the container {name}", clone, f"`{own}make down` in {clone}")
    return None
