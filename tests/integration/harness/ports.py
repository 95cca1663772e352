"""Ports that nobody holds."""

from __future__ import annotations

import random
import socket


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody holds, below those that the kernel gives to clients.

    Until they are used somebody else may take one; then the stack's start names it.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randint(10_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found
