"""Grafana Cloud: its OTLP gateway, and a stack's own API where traces, metrics and logs are read.

The gateway takes basic authentication with an access policy's token (glc_…), the stack a service
account's (glsa_…) as a bearer; one is no good in the other's place. What the gateway answers to a
wrong one is as people report it: 401 either way, in other words where no instance id came along.
Of PromQL and LogQL one form each is read; any other is an error, never an empty answer.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, ClassVar

from aiohttp import web

from emulators.core import otlp, otlp_http
from emulators.core.bodies import BodyError
from emulators.core.faults import EVERYWHERE, Mode
from emulators.core.guard import same_secret
from emulators.core.settings import Settings
from emulators.core.store import Json
from emulators.core.trace_ids import hex_trace_id
from emulators.core.vendor import Vendor
from emulators.grafana_cloud.settings import Settings as Own

GATEWAY = "/otlp/v1/"
SOURCES = "/api/datasources/proxy/uid"
"""A stack's data sources; the ids are those that every stack has."""

WRONG_TOKEN = "authentication error: invalid authentication credentials"  # noqa: S105 - a message
NO_INSTANCE = "authentication error: legacy auth cannot be upgraded because the host is not found"
_PROMQL = re.compile(r'\{trace_id="(?P<trace>[0-9a-f]{32})"\}')
_LOGQL = re.compile(r'\{service_name=~"\.\+"\} \| trace_id="(?P<trace>[0-9a-f]{32})"')


def emulator(settings: Settings, _others: Mapping[str, Vendor]) -> Vendor:
    """Grafana Cloud."""
    return GrafanaCloud(settings)


class GrafanaCloud(Vendor):
    """Gateway and stack on one port; their paths have nothing in common."""

    name: ClassVar[str] = "grafana-cloud"
    modes: ClassVar[frozenset[Mode]] = EVERYWHERE | {"partial"}

    def __init__(self, settings: Settings) -> None:
        self.own = settings.of(Own)
        super().__init__(settings, self.own.port)

    def routes(self) -> Iterable[web.RouteDef]:
        """OTLP, and the three data sources."""
        return [
            *(
                web.post(f"{GATEWAY}{signal}", partial(self._export, signal))
                for signal in otlp.SIGNALS
            ),
            web.get(f"{SOURCES}/grafanacloud-traces/api/traces/{{trace_id}}", self._trace),
            web.get(f"{SOURCES}/grafanacloud-prom/api/v1/query", self._metrics),
            web.get(f"{SOURCES}/grafanacloud-logs/loki/api/v1/query_range", self._logs),
        ]

    def error(
        self,
        request: web.Request,
        status: int,
        message: str,
        headers: dict[str, str] | None = None,
    ) -> web.Response:
        """A Status on the gateway's paths, JSON elsewhere."""
        if request.path.startswith(GATEWAY):
            return otlp_http.error(request, status, message, headers)
        body = {"status": "error", "message": message, "error": message}
        return web.json_response(body, status=status, headers=headers)

    async def _export(self, signal: otlp.Signal, request: web.Request) -> web.Response:
        user, token = _basic(request.headers.get("Authorization", ""))
        if not user:
            raise BodyError(401, NO_INSTANCE)
        if not (same_secret(self.own.instance_id, user) and same_secret(self.own.token, token)):
            raise BodyError(401, WRONG_TOKEN)
        # Mimir takes no sums and histograms that begin anew with each export.
        return await otlp_http.receive(self, request, signal, temporality="cumulative")

    def _read(self, request: web.Request, signal: str, trace_id: str | None) -> list[Json]:
        sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not same_secret(self.own.read_token, sent):
            raise BodyError(401, "Unauthorized")
        if trace_id is None:
            raise BodyError(400, "no query that is read here")
        return [item.render() for item in self.store.of_trace(trace_id, signal)]

    async def _trace(self, request: web.Request) -> web.Response:
        trace_id = hex_trace_id(request.match_info["trace_id"])
        spans = self._read(request, "traces", trace_id)
        if not spans:
            raise BodyError(404, "trace not found")
        return web.json_response({"batches": [_batch(span) for span in spans]})

    async def _metrics(self, request: web.Request) -> web.Response:
        asked = _PROMQL.fullmatch(request.query.get("query", ""))
        points = self._read(request, "metrics", asked and asked["trace"])
        result = [{"metric": _labels(one), "value": [time.time(), _value(one)]} for one in points]
        return _found("vector", result)

    async def _logs(self, request: web.Request) -> web.Response:
        asked = _LOGQL.fullmatch(request.query.get("query", ""))
        records = self._read(request, "logs", asked and asked["trace"])
        result = [
            {
                "stream": {"service_name": otlp.service_of(one["resource"])},
                "values": [[str(one["time_unix_nano"]), str(one["body"])]],
            }
            for one in records
        ]
        return _found("streams", result)


def _basic(header: str) -> tuple[str, str]:
    """User and password, empty where there are none."""
    kind, _, encoded = header.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return user, password


def _found(kind: str, result: list[Json]) -> web.Response:
    return web.json_response({"status": "success", "data": {"resultType": kind, "result": result}})


def _batch(span: Json) -> Json:
    ids = {
        name: base64.b64encode(bytes.fromhex(span[field])).decode()
        for name, field in (("traceId", "trace_id"), ("spanId", "span_id"))
    }
    return {
        "resource": {"attributes": _attributes(span["resource"])},
        "scopeSpans": [
            {
                "scope": span["scope"],
                "spans": [
                    {**ids, "name": span["name"], "attributes": _attributes(span["attributes"])}
                ],
            }
        ],
    }


def _attributes(found: Mapping[str, Any]) -> list[Json]:
    return [{"key": key, "value": {"stringValue": str(one)}} for key, one in found.items()]


def _labels(point: Json) -> dict[str, str]:
    """Prometheus knows letters, digits and the underscore."""
    plain = {key: str(one) for key, one in point["attributes"].items()}
    named = {"__name__": point["name"], **plain}
    return {re.sub(r"\W", "_", key): one for key, one in named.items()} | {
        "__name__": re.sub(r"\W", "_", point["name"])
    }


def _value(point: Json) -> str:
    return str(point.get("value", point.get("sum")))
