"""OTLP over gRPC. A web page cannot speak it, so there is no Host or Origin to check."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from emulators.core import otlp
from emulators.core.bodies import BodyError
from emulators.core.faults import Fault
from emulators.core.listener import bound_socket
from emulators.core.settings import Settings
from emulators.core.vendor import Vendor
from emulators.otlp.expectation import Expectation
from emulators.otlp.settings import Settings as Own

_PATHS: dict[otlp.Signal, str] = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
}
_FAULTS = {
    "400": (grpc.StatusCode.INVALID_ARGUMENT, 400),
    "401": (grpc.StatusCode.UNAUTHENTICATED, 401),
    "403": (grpc.StatusCode.PERMISSION_DENIED, 403),
    "429": (grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
    "500": (grpc.StatusCode.INTERNAL, 500),
    "503": (grpc.StatusCode.UNAVAILABLE, 503),
}
_REFUSALS = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.UNIMPLEMENTED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
# On Linux gRPC may listen where a socket is only bound. Elsewhere the port is let go of first, and
# whoever asks for any port can get it meanwhile.
STAYS_RESERVED = sys.platform == "linux"
# Above the expectation's highest size limit, which is checked by us with its own words.
_MESSAGE = 64 * 1024 * 1024


@dataclass
class _RefusedError(Exception):
    code: grpc.StatusCode
    status: int
    why: str


class GrpcListener:
    """The gRPC port of the generic emulator; faults, store and request log are the vendor's.

    `rules`: what it demands now.
    """

    def __init__(
        self, vendor: Vendor, rules: Callable[[], Expectation], settings: Settings
    ) -> None:
        self._vendor = vendor
        self._rules = rules
        self._bind = settings.bind
        self._own = settings.of(Own)
        self._server: grpc.aio.Server | None = None
        # A reset may still be at work when the vendor is healed or stopped.
        self._changing = asyncio.Lock()
        self._cutting: asyncio.Task[None] | None = None
        self._reserved: socket.socket | None = bound_socket(self._bind, self._own.grpc_port)
        self.port: int = self._reserved.getsockname()[1]

    async def open(self) -> None:
        """Listen; nothing when it already does."""
        async with self._changing:
            await self._open()

    async def _open(self) -> None:
        if self._server is not None:
            return
        if self._reserved is not None and not STAYS_RESERVED:
            self._reserved.close()
            self._reserved = None
        server = grpc.aio.server(
            options=[
                # Or a second emulator on the same port would silently take half of the requests.
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", _MESSAGE),
            ],
        )
        for signal, service in _PATHS.items():
            handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
                partial(self._export, signal)
            )
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, {"Export": handler}),),
            )
        bind = self._bind
        address = f"[{bind}]:{self.port}" if ":" in bind else f"{bind}:{self.port}"
        credentials = _credentials(self._own)
        if credentials is None:
            server.add_insecure_port(address)
        else:
            server.add_secure_port(address, credentials)
        await server.start()
        self._server = server

    async def close(self) -> None:
        """Refuse connections and cut those that are open; the port stays ours."""
        async with self._changing:
            await self._close()

    async def _close(self) -> None:
        if self._server is None:
            return
        await self._server.stop(grace=0)
        self._server = None
        if self._reserved is None:
            self._reserved = bound_socket(self._bind, self.port)

    async def stop(self) -> None:
        """Give the port back."""
        await self.close()
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    async def _export(
        self,
        signal: otlp.Signal,
        body: bytes,
        context: grpc.aio.ServicerContext[bytes, bytes],
    ) -> bytes:
        vendor, started = self._vendor, time.monotonic()
        fault = vendor.faults.take()
        log = partial(vendor.log, "gRPC", f"/{_PATHS[signal]}/Export", size=len(body))
        try:
            if fault is not None and fault.mode in ("hang", "reset"):
                # Logged at once: it has no end to log at.
                log(status=0, why="told to fail", fault=fault.mode)
                await self._drop(fault)
            if fault is not None:
                await self._apply(fault, context)
            answer = self._take(signal, body, _metadata(context), fault)
        except _RefusedError as refusal:
            log(status=refusal.status, why=refusal.why, fault=fault.mode if fault else None)
            await context.abort(refusal.code, refusal.why)
            raise  # abort never returns; this tells the type checker
        seconds = time.monotonic() - started
        log(status=200, fault=fault.mode if fault else None, seconds=seconds)
        return answer

    async def _apply(self, fault: Fault, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        match fault.mode:
            case "slow":
                await asyncio.sleep(fault.seconds)
            case "429" | "503" if fault.retry_after is not None:
                _advise_retry(context, fault)
                code, status = _FAULTS[fault.mode]
                raise _RefusedError(code, status, "told to fail")
            case mode if mode in _FAULTS:
                code, status = _FAULTS[mode]
                raise _RefusedError(code, status, "told to fail")
            case _:
                return

    async def _drop(self, fault: Fault) -> None:
        if fault.mode == "reset":
            # Stopping the server is the only way to cut a connection under grpcio; it ends this
            # call too.
            self._cutting = asyncio.get_running_loop().create_task(self._cut())
        await self._vendor.faults.healed()
        raise asyncio.CancelledError

    async def _cut(self) -> None:
        async with self._changing:
            await self._close()
            await self._open()

    def _take(
        self,
        signal: otlp.Signal,
        body: bytes,
        metadata: dict[str, str],
        fault: Fault | None,
    ) -> bytes:
        rules = self._rules()
        if signal not in rules.signals or rules.protocol == "http":
            raise _refusal(404, f"{rules.name} takes no {signal} here")
        wrong = rules.missing_header(signal, metadata)
        if wrong is not None:
            raise _refusal(rules.refusal_status, wrong)
        if len(body) > rules.max_plain:
            raise _refusal(413, f"message of {len(body)} bytes, limit {rules.max_plain}")
        try:
            message = otlp.decode(signal, "protobuf", body)
        except BodyError as error:
            raise _refusal(400, str(error)) from None
        items, rejected = otlp.take(message, rules.temporality)
        if rules.max_items is not None and len(items) > rules.max_items:
            raise _refusal(400, f"{len(items)} items in a request, limit {rules.max_items}")
        if fault is not None and fault.mode == "partial" and items:
            cut = fault.rejected_of(len(items))
            rejected += ["told to reject"] * cut
            items = items[cut:]
        self._vendor.store.add(items)
        return otlp.answer(signal, "protobuf", len(rejected), rejected[0] if rejected else "")


def _refusal(status: int, why: str) -> _RefusedError:
    return _RefusedError(_REFUSALS[status], status, why)


class _Metadata(dict[str, str]):
    """Header names in any case, as HTTP has them."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


def _metadata(context: grpc.aio.ServicerContext[bytes, bytes]) -> dict[str, str]:
    pairs = context.invocation_metadata() or ()
    return _Metadata(
        (name.lower(), one if isinstance(one, str) else one.decode("latin-1"))
        for name, one in pairs
    )


def _advise_retry(context: grpc.aio.ServicerContext[bytes, bytes], fault: Fault) -> None:
    detail = AnyMessage()
    detail.Pack(RetryInfo(retry_delay=Duration(seconds=fault.retry_after or 0)))
    code = _FAULTS[fault.mode][0].value[0]
    status = Status(code=code, message="told to fail", details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))


def _credentials(own: Own) -> grpc.ServerCredentials | None:
    if not own.tls_cert:
        return None
    key, cert = (Path(name).read_bytes() for name in (own.tls_key, own.tls_cert))
    client_ca = own.tls_client_ca
    return grpc.ssl_server_credentials(
        [(key, cert)],
        root_certificates=Path(client_ca).read_bytes() if client_ca else None,
        require_client_auth=bool(client_ca),
    )
