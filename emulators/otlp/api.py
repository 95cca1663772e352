"""A vendor that takes OTLP by HTTP and by gRPC, under rules that can be set while it runs."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from typing import ClassVar

from aiohttp import web

from emulators.aws.vendor import AwsError, AwsVendor
from emulators.core import otlp, otlp_http
from emulators.core.bodies import BodyError, read
from emulators.core.faults import EVERYWHERE, Mode
from emulators.core.settings import Settings
from emulators.core.vendor import WHY, Vendor
from emulators.otlp.expectation import Expectation
from emulators.otlp.grpc_listener import GrpcListener
from emulators.otlp.settings import Settings as Own

EXPECTATION_BODY = 64 * 1024


def emulator(settings: Settings, _others: Mapping[str, Vendor]) -> Vendor:
    """Any other vendor."""
    return Otlp(settings)


class Otlp(AwsVendor):
    """Any other vendor. AWS's signature is among the things it can demand."""

    name: ClassVar[str] = "otlp"
    modes: ClassVar[frozenset[Mode]] = EVERYWHERE | {"partial"}
    services: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, settings: Settings) -> None:
        own = settings.of(Own)
        super().__init__(settings, own.port, _tls(own))
        self.expectation = Expectation()
        self.grpc = GrpcListener(self, lambda: self.expectation, settings)

    def routes(self) -> Iterable[web.RouteDef]:
        """Every path: which of them exist, the expectation says."""
        return [web.post("/{path:.*}", self._export)]

    def control_routes(self) -> Iterable[web.RouteDef]:
        """The rules: read and set."""
        return [
            web.get("/otlp/expectation", self._expectation),
            web.put("/otlp/expectation", self._expect),
        ]

    def ports(self) -> dict[str, int]:
        """Two: HTTP's and gRPC's."""
        return {**super().ports(), "otlp_grpc": self.grpc.port}

    def error(
        self,
        request: web.Request,
        status: int,
        message: str,
        headers: dict[str, str] | None = None,
    ) -> web.Response:
        """A google.rpc.Status."""
        return otlp_http.error(request, status, message, headers)

    async def start(self) -> None:
        """Listen on both ports."""
        await super().start()
        await self.grpc.open()

    async def stop(self) -> None:
        """Close both ports."""
        await super().stop()
        await self.grpc.stop()

    async def refuse(self) -> None:
        """Close both ports."""
        await super().refuse()
        await self.grpc.close()

    async def accept(self) -> None:
        """Open both ports."""
        await super().accept()
        await self.grpc.open()

    async def reset(self, *, everything: bool) -> None:
        """The expectation counts as provisioned."""
        await super().reset(everything=everything)
        if everything:
            self.expectation = Expectation()

    async def _expectation(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(text=self.expectation.model_dump_json())

    async def _expect(self, request: web.Request) -> web.Response:
        self.expectation = Expectation.model_validate_json(await read(request, EXPECTATION_BODY))
        return await self._expectation(request)

    async def _export(self, request: web.Request) -> web.Response:
        rules = self.expectation
        signal = rules.signal_at(request.path)
        if signal is None or signal not in rules.signals or rules.protocol == "grpc":
            raise BodyError(404, f"{request.path}: {rules.name} does not serve this")
        wrong = rules.missing_header(signal, request.headers)
        if wrong is not None:
            raise BodyError(rules.refusal_status, wrong)
        if rules.sigv4 is not None:
            await self._check_signature(request, rules)
        encoding = otlp.encoding_of(request.headers.get("Content-Type", ""))
        if encoding not in rules.encodings:
            raise BodyError(415, f"{rules.name} takes no {encoding}")
        compression = request.headers.get("Content-Encoding", "none").lower()
        if compression not in {*rules.compressions, "identity"}:
            raise BodyError(415, f"{rules.name} takes no {compression}")
        limits = otlp_http.Limits(rules.max_sent, rules.max_plain, rules.max_items)
        return await otlp_http.receive(
            self,
            request,
            signal,
            limits,
            temporality=rules.temporality,
        )

    async def _check_signature(self, request: web.Request, rules: Expectation) -> None:
        wanted = rules.sigv4
        if wanted is None:
            return
        try:
            caller, _ = await self.signed(request, rules.max_sent, {wanted.service})
        except AwsError as error:
            raise BodyError(error.status, f"{error.code}: {error}") from None
        if wanted.region not in (None, caller.region):
            request[WHY] = f"signed for {caller.region}"
            raise BodyError(403, f"signed for {caller.region}, not {wanted.region}")


def _tls(own: Own) -> ssl.SSLContext | None:
    if not own.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(own.tls_cert, own.tls_key)
    if own.tls_client_ca:
        context.load_verify_locations(own.tls_client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
