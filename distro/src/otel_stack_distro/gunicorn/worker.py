"""gunicorn's worker, with an end to the time in which a client may say what it wants."""

from __future__ import annotations

import socket
import sys
import time
from typing import Any

from gunicorn.workers.sync import SyncWorker

REQUEST_SECONDS = 10.0
"""For a request's first byte to its last, body included: gunicorn kills a worker after 30 s that
reads, with the spans it held."""

UNHEARD_SECONDS = 60
"""A connection on which nothing was said yet is the kernel's for so long. Browsers open some ahead
of need: two of them took both workers of a service."""


class Worker(SyncWorker):  # type: ignore[misc]
    """Serves one request after the other, as gunicorn's own does."""

    def init_process(self) -> None:
        if sys.platform == "linux":
            for listener in self.sockets:
                if listener.sock.family in {socket.AF_INET, socket.AF_INET6}:
                    listener.setsockopt(
                        socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, UNHEARD_SECONDS
                    )
        super().init_process()

    def handle(self, listener: Any, client: socket.socket, addr: Any) -> None:
        super().handle(listener, _Hurried(client), addr)


class _Hurried(socket.socket):
    """A client that seems to have closed once its time is over: that is no error in the log."""

    def __init__(self, client: socket.socket) -> None:
        super().__init__(client.family, client.type, client.proto, client.detach())
        self._until = time.monotonic() + REQUEST_SECONDS

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        if self.gettimeout() is not None:
            # gunicorn's own: so long it waits behind its answer.
            return super().recv(size, flags)
        try:
            # Nearly all requests are there as a whole by now.
            return super().recv(size, flags | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return self._waited_for(size, flags)

    def _waited_for(self, size: int, flags: int) -> bytes:
        left = self._until - time.monotonic()
        if left <= 0:
            return b""
        self.settimeout(left)
        try:
            return super().recv(size, flags)
        except TimeoutError:
            return b""
        finally:
            self.settimeout(None)
