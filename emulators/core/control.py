"""The control port: what each vendor holds, and how it is to fail.

GET  /health · /ports · /counts · /faults
GET  /holds/{trace_id} · /holds/{vendor}/{trace_id} · /held-ids/{vendor}/{trace_id}
GET  /items/{vendor} · /requests/{vendor}
GET  /ids/{vendor}/{signal} · /sums/{vendor}/{signal} · /arrivals/{vendor}/{signal}
POST /faults/{vendor} a Fault · /reset {"vendor", "everything"} both optional
DELETE /faults · /faults/{vendor}
and what a vendor's own `control_routes` add.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ConfigDict, ValidationError

from emulators.core import guard
from emulators.core.bodies import BodyError, read
from emulators.core.faults import Fault
from emulators.core.listener import Listener
from emulators.core.settings import Settings
from emulators.core.trace_ids import hex_trace_id
from emulators.core.vendor import UnsupportedFaultError, Vendor

BODY = 64 * 1024


class Reset(BaseModel):
    """What to forget: one vendor or all; with `everything` also what was provisioned."""

    model_config = ConfigDict(extra="forbid")

    vendor: str | None = None
    everything: bool = False


class Control:
    """The control API over one set of emulators, by name."""

    def __init__(self, settings: Settings, vendors: Mapping[str, Vendor]) -> None:
        self._settings = settings
        self._vendors = vendors
        app = web.Application(middlewares=[self._answer])
        app.add_routes(
            [
                web.get("/health", self._health),
                web.get("/ports", self._ports),
                web.get("/counts", self._counts),
                web.get("/holds/{trace_id}", self._holds_all),
                web.get("/holds/{vendor}/{trace_id}", self._holds),
                web.get("/held-ids/{vendor}/{trace_id}", self._held_ids),
                web.get("/items/{vendor}", self._items),
                web.get("/ids/{vendor}/{signal}", self._ids),
                web.get("/sums/{vendor}/{signal}", self._sums),
                web.get("/arrivals/{vendor}/{signal}", self._arrivals),
                web.get("/requests/{vendor}", self._requests),
                web.get("/faults", self._faults),
                web.post("/faults/{vendor}", self._break),
                web.delete("/faults", self._heal_all),
                web.delete("/faults/{vendor}", self._heal),
                web.post("/reset", self._reset),
                *(route for vendor in vendors.values() for route in vendor.control_routes()),
            ],
        )
        self._listener = Listener(app, settings.bind, settings.control_port)
        self.port = self._listener.port

    async def start(self) -> None:
        """Listen."""
        await self._listener.start()

    async def stop(self) -> None:
        """Close the port."""
        await self._listener.stop()

    def ports(self) -> dict[str, int]:
        """The port of each vendor by name, of `otlp_grpc` and of `control`."""
        ports = {"control": self.port}
        for vendor in self._vendors.values():
            ports |= vendor.ports()
        return ports

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = guard.refusal(request.headers, self._settings.allowed_hosts)
        if refusal is not None:
            return _error(*refusal)
        try:
            return await handler(request)
        except BodyError as error:
            return _error(error.status, str(error))
        except UnsupportedFaultError as error:
            return _error(422, str(error))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            return _error(422, f"{where}: {first['msg']}".lstrip(": "))
        except web.HTTPException as error:
            return _error(error.status, f"{request.method} {request.path}: {error.reason}")

    def _vendor(self, request: web.Request) -> Vendor:
        return self._named(request.match_info["vendor"])

    def _named(self, name: str) -> Vendor:
        vendor = self._vendors.get(name)
        if vendor is None:
            known = ", ".join(self._vendors)
            raise BodyError(404, f"no vendor {name!r}; there are: {known}")
        return vendor

    async def _health(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({"ready": True})

    async def _ports(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(self.ports())

    async def _counts(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(
            {
                name: {
                    "accepted": dict(vendor.store.accepted),
                    "held": vendor.store.held(),
                    "evicted": dict(vendor.store.evicted),
                    "bytes": vendor.store.bytes,
                }
                for name, vendor in self._vendors.items()
            },
        )

    async def _holds_all(self, request: web.Request) -> web.Response:
        trace_id = _trace_id(request)
        return web.json_response(
            {name: vendor.store.by_trace(trace_id) for name, vendor in self._vendors.items()},
        )

    async def _holds(self, request: web.Request) -> web.Response:
        return web.json_response(self._vendor(request).store.by_trace(_trace_id(request)))

    async def _held_ids(self, request: web.Request) -> web.Response:
        return web.json_response(self._vendor(request).store.ids_of_trace(_trace_id(request)))

    async def _items(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await answer.prepare(request)
        # A copy: more may come while this is sent.
        for item in list(self._vendor(request).store.items):
            line = {"signal": item.signal, "id": item.id, "item": item.render()}
            await answer.write(json.dumps(line).encode() + b"\n")
        await answer.write_eof()
        return answer

    async def _ids(self, request: web.Request) -> web.Response:
        return web.json_response(self._vendor(request).store.ids(request.match_info["signal"]))

    async def _sums(self, request: web.Request) -> web.Response:
        return web.json_response(self._vendor(request).store.sums(request.match_info["signal"]))

    async def _arrivals(self, request: web.Request) -> web.Response:
        return web.json_response(self._vendor(request).store.arrivals(request.match_info["signal"]))

    async def _requests(self, request: web.Request) -> web.Response:
        return web.json_response(list(self._vendor(request).requests))

    async def _faults(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(
            {name: vendor.faults.describe() for name, vendor in self._vendors.items()},
        )

    async def _break(self, request: web.Request) -> web.Response:
        vendor = self._vendor(request)
        fault = Fault.model_validate_json(await read(request, BODY))
        await vendor.fail(fault)
        return web.json_response({vendor.name: vendor.faults.describe()})

    async def _heal(self, request: web.Request) -> web.Response:
        vendor = self._vendor(request)
        await vendor.heal()
        return web.json_response({vendor.name: None})

    async def _heal_all(self, request: web.Request) -> web.Response:
        for vendor in self._vendors.values():
            await vendor.heal()
        return await self._faults(request)

    async def _reset(self, request: web.Request) -> web.Response:
        body = await read(request, BODY)
        what = Reset.model_validate_json(body or b"{}")
        every = self._vendors.values()
        for vendor in [self._named(what.vendor)] if what.vendor else every:
            await vendor.reset(everything=what.everything)
        return web.json_response({})


def _trace_id(request: web.Request) -> str:
    """The trace id asked for, in either notation, as 32 hex digits."""
    text = request.match_info["trace_id"]
    found = hex_trace_id(text)
    if found is None:
        raise BodyError(
            422, f"trace id {text.lower()!r}: 32 hex digits or X-Ray's 1-<8>-<24> wanted"
        )
    return found


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
