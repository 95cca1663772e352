"""What every vendor's emulator shares: the guard, the faults, the store and the request log."""

from __future__ import annotations

import asyncio
import ssl
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from email.utils import formatdate
from functools import partial
from typing import Any, ClassVar

from aiohttp import web
from aiohttp.typedefs import Handler

from emulators.core import guard
from emulators.core.bodies import BodyError, read
from emulators.core.faults import CLOCK_AHEAD_SECONDS, EVERYWHERE, STATUS_MODES, Fault, Faults, Mode
from emulators.core.listener import Listener, reset
from emulators.core.settings import Settings
from emulators.core.store import Item, Store

# The fault that a handler has to apply itself (partial, unprocessed); absent otherwise.
FAULT = web.RequestKey("fault", Fault)
# Why a handler answered as it did, for the request log.
WHY = web.RequestKey("why", str)

# Seconds by which the vendor's clock is ahead; absent when it is right.
AHEAD = web.RequestKey("ahead", float)

# More than any vendor takes in one request; only hang and reset read this far without checking.
ANY_BODY = 32 * 1024 * 1024
_DROPPED = "dropped without an answer"


class UnsupportedFaultError(Exception):
    """A fault that this vendor cannot have; the text names those it can."""


class Vendor(ABC):
    """One vendor on one port. A subclass gives its routes and the form of its errors."""

    name: ClassVar[str]
    modes: ClassVar[frozenset[Mode]] = EVERYWHERE
    asked_by_pages: ClassVar[bool] = False
    """Whether the real one answers web pages; here those of `page_origins`."""

    def __init__(self, settings: Settings, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.settings = settings
        self.store = Store(settings.max_items, settings.max_bytes, on_evict=self.evicted)
        self.faults = Faults()
        self.requests: deque[dict[str, Any]] = deque(maxlen=settings.max_requests)
        self._fault_ends: asyncio.TimerHandle | None = None
        self._answering = 0
        self._idle = asyncio.Event()
        self._idle.set()
        app = web.Application(middlewares=[self._answer])
        app.add_routes(self.routes())
        self.listener = Listener(app, settings.bind, port, tls)

    @abstractmethod
    def routes(self) -> Iterable[web.RouteDef]:
        """The vendor's own paths."""

    @abstractmethod
    def error(
        self,
        request: web.Request,
        status: int,
        message: str,
        headers: dict[str, str] | None = None,
    ) -> web.Response:
        """An error in the form the vendor gives it."""

    def throttled(self, request: web.Request, fault: Fault) -> web.Response:
        """The vendor's way to say "too many requests"."""
        return self.error(request, 429, "too many requests", _retry_after(fault))

    def evicted(self, items: list[Item]) -> None:  # noqa: B027 - most hold no copies
        """Called with what the store let go; for vendors that hold copies elsewhere."""

    async def reset(self, *, everything: bool) -> None:
        """Forget items and requests; with `everything` also what was provisioned."""
        del everything
        self.store.clear()
        self.requests.clear()

    def control_routes(self) -> Iterable[web.RouteDef]:
        """What the control port answers about this vendor alone, below `/<name>/`."""
        return ()

    def ports(self) -> dict[str, int]:
        """Every port by the name that the control port gives it."""
        return {self.name: self.listener.port}

    async def start(self) -> None:
        """Listen."""
        await self.listener.start()

    async def stop(self) -> None:
        """Close the port."""
        if self._fault_ends is not None:
            self._fault_ends.cancel()
        self.faults.heal()
        await self.listener.stop()

    async def fail(self, fault: Fault) -> None:
        """Have `fault` from now on. Raises UnsupportedFaultError."""
        if fault.mode not in self.modes:
            can = ", ".join(sorted(self.modes))
            raise UnsupportedFaultError(f"{self.name} cannot {fault.mode}; it can: {can}")
        await self.heal()
        self.faults.set(fault)
        if fault.mode == "refuse":
            await self.refuse()
        if fault.duration is not None:
            loop = asyncio.get_running_loop()
            self._fault_ends = loop.call_later(
                fault.duration,
                lambda: loop.create_task(self.heal(), name=f"heal {self.name}"),
            )

    async def heal(self) -> None:
        """Be well again."""
        if self._fault_ends is not None:
            self._fault_ends.cancel()
            self._fault_ends = None
        self.faults.heal()
        await self.accept()

    async def refuse(self) -> None:
        """Close every port of this vendor. Whom it is answering gets the answer first."""
        await self.listener.close(self._idle)

    async def accept(self) -> None:
        """Open every port of this vendor."""
        await self.listener.open()

    def log(
        self,
        method: str,
        path: str,
        status: int,
        size: int,
        *,
        why: str = "",
        fault: Mode | None = None,
        seconds: float = 0.0,
    ) -> None:
        """Remember one answered request. Status 0: the connection was dropped without an answer."""
        entry: dict[str, Any] = {
            "at": round(time.time(), 3),
            "method": method,
            "path": path,
            "status": status,
            "bytes": size,
            "ms": round(seconds * 1000, 1),
        }
        if why:
            entry["why"] = why
        if fault:
            entry["fault"] = fault
        self.requests.append(entry)

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        origins = self.settings.allowed_origins if self.asked_by_pages else frozenset[str]()
        refusal = guard.refusal(request.headers, self.settings.allowed_hosts, origins)
        if refusal is not None:
            status, reason = refusal
            self._log(request, status, why=reason)
            return web.Response(status=status, text=reason)
        started = time.monotonic()
        fault = self.faults.take()
        if fault is not None:
            if fault.mode in ("hang", "reset", "refuse"):
                handler = partial(self._drop, fault)
            elif fault.mode in STATUS_MODES:
                handler = partial(self._fail, fault)
            elif fault.mode == "slow":
                await asyncio.sleep(fault.seconds)
            elif fault.mode == "clock":
                request[AHEAD] = CLOCK_AHEAD_SECONDS
            else:
                request[FAULT] = fault
        response = await self._handle(request, handler)
        if AHEAD in request:
            # Clients tell from it by how much to correct their signatures.
            response.headers["Date"] = formatdate(time.time() + request[AHEAD], usegmt=True)
        if request.get(WHY) != _DROPPED:
            mode = fault.mode if fault else None
            self._log(request, response.status, request.get(WHY, ""), mode, started)
        if request.headers.get("Origin") in origins:
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
        return response

    async def _handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._answering += 1
        self._idle.clear()
        try:
            return await handler(request)
        except BodyError as error:
            request[WHY] = str(error)
            return self.error(request, error.status, str(error))
        except web.HTTPException as error:
            # A path or a method that the vendor does not have.
            request[WHY] = error.reason
            return self.error(request, error.status, f"{request.method} {request.path}: not here")
        finally:
            self._answering -= 1
            if not self._answering:
                self._idle.set()

    async def _fail(self, fault: Fault, request: web.Request) -> web.Response:
        request[WHY] = "told to fail"
        # Read first: answering into a half-sent body looks like a reset to some clients.
        await read(request, ANY_BODY)
        if fault.mode == "429":
            return self.throttled(request, fault)
        text = {
            "400": "bad request",
            "401": "unauthorized",
            "403": "forbidden",
            "500": "internal error",
            "503": "unavailable",
        }[fault.mode]
        headers = _retry_after(fault) if fault.mode == "503" else {}
        return self.error(request, int(fault.mode), text, headers)

    async def _drop(self, fault: Fault, request: web.Request) -> web.StreamResponse:
        if fault.mode == "hang":
            # Taken whole, so that the connection's end is noticed and no sent bytes pile up.
            await read(request, ANY_BODY)
        else:
            await request.content.readany()
        # Logged at once: a hung request has no end to log at.
        request[WHY] = _DROPPED
        self._log(request, 0, "told to fail", fault.mode)
        if fault.mode == "hang":
            await self.faults.healed()
        if request.transport is not None:
            reset(request.transport)
        return web.Response(status=503)

    def _log(
        self,
        request: web.Request,
        status: int,
        why: str = "",
        fault: Mode | None = None,
        started: float | None = None,
    ) -> None:
        seconds = 0.0 if started is None else time.monotonic() - started
        # The path alone: query strings may hold tokens.
        size = request.content_length or request.content.total_bytes
        self.log(
            request.method,
            request.path,
            status,
            size,
            why=why,
            fault=fault,
            seconds=seconds,
        )


def _retry_after(fault: Fault) -> dict[str, str]:
    return {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
