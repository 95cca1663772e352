"""Many connections to one port, written to by hand."""

from __future__ import annotations

import contextlib
import resource
import select
import socket
from collections.abc import Callable, Iterator

from stack.waiting import wait_for

CLOSED_SECONDS = 60
"""The config's longest timeout is 10 s; the rest is for a busy machine."""

OWN_FILES = 2000
"""What this process and the collector need besides: a limit of open files counts all."""


def as_many_as(wanted: int) -> int:
    """`wanted`, or as many as this machine lets one process open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(wanted, hard - OWN_FILES)


@contextlib.contextmanager
def connections(port: int, count: int, source: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    """From `source`, an address of this machine: to the server each is a host of its own."""
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", port), 30, source_address=(source, 0))
            opened.append(one)
        yield opened
    finally:
        for one in opened:
            one.close()


def closed(opened: list[socket.socket]) -> int:
    """How many of them the other side has closed."""
    poll = select.poll()
    by_number = {one.fileno(): one for one in opened}
    for number in by_number:
        poll.register(number, select.POLLIN | select.POLLHUP | select.POLLERR)
    count = 0
    for number, _ in poll.poll(0):
        one = by_number[number]
        one.setblocking(False)
        try:
            while one.recv(65536):
                pass
            count += 1
        except BlockingIOError:
            pass
        except OSError:
            count += 1
    return count


def wait_until_closed(
    opened: list[socket.socket], meanwhile: Callable[[], None] = lambda: None
) -> None:
    def count() -> int:
        meanwhile()
        return closed(opened)

    wait_for(
        "the connections to be closed",
        count,
        until=lambda count: count == len(opened),
        seconds=CLOSED_SECONDS,
        pause=0.2,
    )


def send(opened: list[socket.socket], content: bytes) -> None:
    """To each that still takes it."""
    for one in opened:
        with contextlib.suppress(OSError):
            one.sendall(content)
