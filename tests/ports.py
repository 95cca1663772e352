"""Ports for what the tests start."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

_RANGE = range(10_000, 32_000)
"""Below those that the kernel gives to clients."""

_LOCK = Path(tempfile.gettempdir()) / f"otel-stack-test-ports-{os.getuid()}"
_given: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody holds, and that no other test run of this user is given.

    A port is given long before it is bound: two stacks that started at once, of 15 ports each,
    met in one of a hundred starts. So each is locked, until this process ends, as a byte of a file.
    And locked before it is looked at: to look is to bind it, and whoever was given it may do so at
    that moment.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.choice(_RANGE)
        if port not in _given and _lock(port) and _is_free(port):
            _given.add(port)
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _lock(port: int) -> bool:
    try:
        fcntl.lockf(_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except BlockingIOError:
        return False
    return True


_opened: list[int] = []


def _locks() -> int:
    # Closing any descriptor of the file would give up every lock of this process.
    if not _opened:
        _opened.append(os.open(_LOCK, os.O_RDWR | os.O_CREAT, 0o600))
    return _opened[0]
