"""The emulators as vendors are in the world: behind a name that resolves, and TLS."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import random
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self, cast, get_args

import trustme

Trouble = Literal["DNS gone", "DNS silent", "TLS unknown CA", "TLS wrong name", "TLS expired"]
TROUBLES: tuple[Trouble, ...] = get_args(Trouble)

NAMES = {"honeycomb": "honeycomb.test", "xray": "xray.test", "aws": "cloudwatch.test"}
"""By emulator. `.test` is nobody's."""

SETTINGS = {
    "honeycomb": "HONEYCOMB_ENDPOINT",
    "xray": "XRAY_ENDPOINT",
    "aws": "CLOUDWATCH_LOGS_ENDPOINT",
}

QUIET_SECONDS = 0.1

_TYPE_A = 1
_NO_SUCH_NAME = 3
_HEADER = 12


class Far:
    """`https://<name>:<port>` in front of each emulator, and the name server that knows them.

    `command` goes before a program that is to ask that name server; empty where this user may make
    no mount namespace, and then names are not `resolvable` and vendors go by 127.0.0.1.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._make_certificates()
        self._trouble: dict[str, Trouble] = {}
        self._targets: dict[str, int] = {}
        self._ports: dict[str, int] = {}
        self._open: dict[str, set[_Connection]] = {name: set() for name in NAMES}
        self._servers: list[asyncio.Server] = []
        self.asked_in_vain = 0
        self.refused_handshakes = 0
        self.command: tuple[str, ...] = ()
        self._address: str | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        if self._address:
            self.command = _with_name_server(self.resolv, self._address)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def resolvable(self) -> bool:
        return bool(self.command)

    @property
    def resolv(self) -> Path:
        """The resolv.conf that names the name server."""
        return self._folder / "resolv.conf"

    @property
    def environment(self) -> dict[str, str]:
        """For the collector, which trusts these fronts' CA alone, and for the emulators."""
        hosts = NAMES if self.resolvable else dict.fromkeys(NAMES, "127.0.0.1")
        return {
            "EMULATOR_HOSTS": ",".join(NAMES.values()),
            "SSL_CERT_FILE": str(self._folder / "ca.pem"),
            # Go trusts whatever lies in it.
            "SSL_CERT_DIR": str(self._folder / "none"),
            **{
                SETTINGS[name]: f"https://{hosts[name]}:{port}"
                for name, port in self._ports.items()
            },
        }

    def lead_to(self, ports: Mapping[str, int]) -> None:
        """The emulators' ports, by their names."""
        self._targets = {name: ports[name] for name in NAMES}

    def break_(self, emulator: str, trouble: Trouble) -> None:
        """Connections of before end, as when a vendor moves; new ones meet the trouble. Who waits
        for an answer gets it first: what was kept and is not answered comes twice, rightly.
        """
        self.asked_in_vain = self.refused_handshakes = 0
        self._trouble[emulator] = trouble
        self._loop.call_soon_threadsafe(self._end_connections, emulator)

    def heal(self) -> None:
        self._trouble.clear()

    def met(self) -> bool:
        """Whether anybody has met the trouble since it began."""
        return self.asked_in_vain + self.refused_handshakes > 0

    async def _start(self) -> None:
        for name in NAMES:
            await self._listen(name)
        # One of its own, since its port is fixed, for benches side by side.
        address = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}.{random.randint(1, 254)}"
        with contextlib.suppress(PermissionError):
            await self._loop.create_datagram_endpoint(
                lambda: _NameServer(self), local_addr=(address, 53)
            )
            self._address = address

    async def _listen(self, name: str) -> None:
        def choose(
            tls: ssl.SSLSocket | ssl.SSLObject, asked: str | None, _: ssl.SSLContext
        ) -> None:
            del asked
            trouble = self._trouble.get(name, "right")
            if trouble in self._contexts and trouble != "right":
                self.refused_handshakes += 1
                tls.context = self._contexts[trouble]

        context = self._certified("right")
        context.sni_callback = choose

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(name, reader, writer)

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        self._servers.append(server)
        self._ports[name] = server.sockets[0].getsockname()[1]

    async def _serve(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            target = await asyncio.open_connection("127.0.0.1", self._targets[name])
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(writer, target[1])
        self._open[name].add(connection)
        try:
            await asyncio.gather(connection.ask(reader), connection.answer(target[0]))
        finally:
            self._open[name].discard(connection)
            connection.abort()

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        for connections in self._open.values():
            for connection in list(connections):
                connection.abort()

    def _end_connections(self, name: str) -> None:
        for connection in list(self._open[name]):
            connection.end()

    def _make_certificates(self) -> None:
        names = [*NAMES.values(), "127.0.0.1"]
        authority, stranger = trustme.CA(), trustme.CA()
        authority.cert_pem.write_to_path(str(self._folder / "ca.pem"))
        yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
        for trouble, made in {
            "right": authority.issue_cert(*names),
            "TLS unknown CA": stranger.issue_cert(*names),
            "TLS wrong name": authority.issue_cert("elsewhere.test"),
            "TLS expired": authority.issue_cert(
                *names, not_before=yesterday - dt.timedelta(days=9), not_after=yesterday
            ),
        }.items():
            made.private_key_and_cert_chain_pem.write_to_path(str(self._folder / f"{trouble}.pem"))
            self._contexts[trouble] = self._certified(trouble)

    def _certified(self, trouble: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / f"{trouble}.pem")
        return context

    def answer(self, query: bytes) -> bytes | None:
        """What the name server says to one question; None for nothing."""
        end = query.index(0, _HEADER)
        labels, at = [], _HEADER
        while at < end:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        question = query[_HEADER : end + 5]
        emulator = {name: emulator for emulator, name in NAMES.items()}.get(".".join(labels))
        trouble = self._trouble.get(emulator or "")
        if trouble in {"DNS gone", "DNS silent"}:
            self.asked_in_vain += 1
            if trouble == "DNS silent":
                return None
        known = emulator is not None and trouble != "DNS gone"
        found = known and int.from_bytes(question[-4:-2]) == _TYPE_A
        flags = 0x8580 if known else 0x8580 | _NO_SUCH_NAME
        header = query[:2] + struct.pack("!HHHHH", flags, 1, int(found), 0, 0)
        record = (
            b"\xc0\x0c" + struct.pack("!HHIH", _TYPE_A, 1, 0, 4) + socket.inet_aton("127.0.0.1")
        )
        return header + question + (record if found else b"")


def _with_name_server(resolv: Path, address: str) -> tuple[str, ...]:
    """What goes before a command that is to ask that server; empty without the right to mount."""
    resolv.write_text(f"nameserver {address}\noptions timeout:1 attempts:1\n")
    bind = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
    command = ("unshare", "--mount", "sh", "-c", bind, "sh", str(resolv))
    tried = subprocess.run([*command, "true"], capture_output=True, check=False)
    return command if tried.returncode == 0 else ()


class _NameServer(asyncio.DatagramProtocol):
    def __init__(self, far: Far) -> None:
        self._far = far

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._far.answer(data)
        if answer is not None:
            self._transport.sendto(answer, addr)


class _Connection:
    """Passes on what both ends say; either may be reset at any time."""

    def __init__(self, client: asyncio.StreamWriter, vendor: asyncio.StreamWriter) -> None:
        self._client, self._vendor = client, vendor
        self._loop = asyncio.get_running_loop()
        self._waiting = False
        self._heard = 0.0

    async def ask(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while content := await reader.read(65536):
                self._waiting = True
                self._vendor.write(content)
                await self._vendor.drain()
        self._vendor.transport.abort()

    async def answer(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while content := await reader.read(65536):
                self._waiting, self._heard = False, self._loop.time()
                self._client.write(content)
                await self._client.drain()
        self._client.transport.abort()

    def end(self, tries: int = 20) -> None:
        """Now, or soon after the answer that somebody waits for, which may come in two pieces."""
        if tries and (self._waiting or self._loop.time() < self._heard + QUIET_SECONDS):
            self._loop.call_later(QUIET_SECONDS, self.end, tries - 1)
        else:
            self.abort()

    def abort(self) -> None:
        self._client.transport.abort()
        self._vendor.transport.abort()
