"""OTLP over HTTP, the part that every vendor who takes it shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from emulators.core import otlp
from emulators.core.bodies import BodyError, decompress, read
from emulators.core.store import Item
from emulators.core.vendor import FAULT, WHY, Vendor

MIB = 1024 * 1024
# google.rpc codes for the HTTP statuses that are used here.
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 413: 3, 415: 3, 429: 8, 500: 13, 503: 14}


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes as sent, bytes decompressed, and items in a request."""

    sent: int = 20 * MIB
    plain: int = 20 * MIB
    items: int | None = None


def error(
    request: web.Request,
    status: int,
    message: str,
    headers: dict[str, str] | None = None,
) -> web.Response:
    """An error as OTLP/HTTP wants it: a google.rpc.Status in the request's own encoding."""
    try:
        encoding = otlp.encoding_of(request.headers.get("Content-Type", ""))
    except BodyError:
        encoding = "json"
    return web.Response(
        status=status,
        body=otlp.error_body(encoding, _CODES.get(status, 2), message),
        headers={"Content-Type": otlp.CONTENT_TYPES[encoding], **(headers or {})},
    )


async def receive(
    vendor: Vendor,
    request: web.Request,
    signal: otlp.Signal,
    limits: Limits = Limits(),
    *,
    temporality: otlp.Temporality | None = None,
    keep: Callable[[Item], Item] = lambda item: item,
) -> web.Response:
    """Take one export request into the vendor's store, each item through `keep`.

    Rejected items, and those that a partial fault rejects, are named in a partial success.
    """
    encoding = otlp.encoding_of(request.headers.get("Content-Type", ""))
    sent = await read(request, limits.sent)
    plain = decompress(sent, request.headers.get("Content-Encoding", ""), limits.plain)
    items, rejected = otlp.take(otlp.decode(signal, encoding, plain), temporality)
    if limits.items is not None and len(items) > limits.items:
        raise BodyError(400, f"{len(items)} items in a request, limit {limits.items}")
    fault = request.get(FAULT)
    if fault is not None and items:
        cut = fault.rejected_of(len(items))
        rejected += ["told to reject"] * cut
        items = items[cut:]
    vendor.store.add(keep(item) for item in items)
    why = rejected[0] if rejected else ""
    if rejected:
        request[WHY] = f"{len(rejected)} rejected: {why}"
    return web.Response(
        body=otlp.answer(signal, encoding, len(rejected), why),
        headers={"Content-Type": otlp.CONTENT_TYPES[encoding]},
    )
