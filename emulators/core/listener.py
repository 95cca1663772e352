"""One port that can really be closed and opened again."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct

from aiohttp import web

BACKLOG = 1024
LAST_ANSWERS_SECONDS = 1.0
TURN_SECONDS = 0.01


def bound_socket(bind: str, port: int) -> socket.socket:
    """A TCP socket bound to the address but not listening: a connection to it is refused.

    Raises OSError that names the address.
    """
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((bind, port))
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen on {bind}:{port}: {error.strerror}") from None
    return sock


def reset(transport: asyncio.BaseTransport) -> None:
    """Drop the connection with RST instead of an orderly close."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


class Listener:
    """Serves `app` on one port. While closed it stays bound, so that nobody else takes the port."""

    def __init__(
        self,
        app: web.Application,
        bind: str,
        port: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            # A caller that has given up must not keep a hung request alive.
            handler_cancellation=True,
            # Signatures cover the compressed bytes, and a bomb must meet our own limit.
            auto_decompress=False,
        )
        self._bind = bind
        self._tls = tls
        self._site: web.SockSite | None = None
        self._reserved: socket.socket | None = bound_socket(bind, port)
        self.port: int = self._reserved.getsockname()[1]

    async def start(self) -> None:
        """Listen."""
        await self._runner.setup()
        await self.open()

    async def open(self) -> None:
        """Accept connections again; nothing when it already does."""
        if self._site is not None:
            return
        sock = self._reserved or bound_socket(self._bind, self.port)
        self._reserved = None
        self._site = web.SockSite(self._runner, sock, ssl_context=self._tls, backlog=BACKLOG)
        await self._site.start()

    async def close(self, idle: asyncio.Event | None = None) -> None:
        """Refuse connections, and reset those that are open once `idle` is set, or in a second.

        A request that was kept and whose answer is lost comes again, as a copy: from outside it
        looks like a fault of the sender.
        """
        if self._site is None:
            return
        await self._site.stop()
        self._site = None
        self._reserved = bound_socket(self._bind, self.port)
        if idle is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(idle.wait(), LAST_ANSWERS_SECONDS)
            # The answer is on its way out.
            await asyncio.sleep(TURN_SECONDS)
        self.reset_connections()

    def reset_connections(self) -> None:
        """Reset every open connection."""
        server = self._runner.server
        if server is None:
            return
        for connection in server.connections:
            if connection.transport is not None:
                reset(connection.transport)

    async def stop(self) -> None:
        """Give the port back."""
        self.reset_connections()
        await self._runner.cleanup()
        self._site = None
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None
