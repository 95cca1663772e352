"""Who holds a port of this machine."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from stack.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Holder:
    pid: int | None
    program: str

    def __str__(self) -> str:
        return f"{self.program} (pid {self.pid})" if self.pid else self.program


def check_free(ports: Mapping[str, int]) -> None:
    """Raise StackError for the first port on 127.0.0.1 that another process holds."""
    for name, port in ports.items():
        if not is_free(port):
            raise taken(name, port)


def taken(name: str, port: int) -> StackError:
    """What is wrong with a port that somebody holds. Looks at all sockets of this machine."""
    return StackError(
        f"port {port} ({name}) is taken by {holder(port)}",
        f"stop that process, or set {name} to another port in .env",
    )


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


def holder(port: int) -> Holder:
    """The process that listens on `port`; without the right to see it, one that has no pid."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return Holder(None, "another user's process")
    for connection in connections:
        listening = connection.status == psutil.CONN_LISTEN and connection.laddr
        if listening and listening.port == port:
            if connection.pid is None:
                return Holder(None, "another user's process")
            return Holder(connection.pid, _program(connection.pid))
    return Holder(None, "a process that is just ending")


def _program(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return "a process"
