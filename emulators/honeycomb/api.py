"""Honeycomb: OTLP with a team's key, and the parts of its API that the stack calls."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from secrets import token_urlsafe
from typing import Any, ClassVar, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emulators.core import otlp, otlp_http
from emulators.core.bodies import BodyError, read
from emulators.core.faults import EVERYWHERE, Fault, Mode
from emulators.core.guard import same_secret
from emulators.core.settings import Settings
from emulators.core.store import Item, Json
from emulators.core.vendor import WHY, Vendor
from emulators.honeycomb.settings import Settings as Own

LIMITS = otlp_http.Limits(sent=15 * otlp_http.MIB, plain=15 * otlp_http.MIB)
API_BODY = 100 * 1024
EVERY_DATASET = "__all__"
UNKNOWN_KEY = "unknown API key - check your credentials"
_PROBLEMS = {400: "malformed", 401: "unauthenticated", 404: "not-found", 422: "validation-failed"}

_Model = TypeVar("_Model", bound=BaseModel)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Marker(BaseModel):
    """A deploy marker. Times are epoch seconds; no times means now."""

    model_config = ConfigDict(extra="forbid", strict=True)

    message: str | None = None
    type: str | None = None
    url: str | None = None
    start_time: int | None = None
    end_time: int | None = None


# The operators that the query API knows, as its reference lists them.
_WITHOUT_COLUMN = ("COUNT", "CONCURRENCY")
_Operator = Literal[
    "COUNT",
    "CONCURRENCY",
    "SUM",
    "AVG",
    "COUNT_DISTINCT",
    "MAX",
    "MIN",
    "P001",
    "P01",
    "P05",
    "P10",
    "P20",
    "P25",
    "P50",
    "P75",
    "P80",
    "P90",
    "P95",
    "P99",
    "P999",
    "HEATMAP",
    "RATE_AVG",
    "RATE_SUM",
    "RATE_MAX",
]


class Calculation(BaseModel):
    """What a query computes."""

    model_config = ConfigDict(extra="forbid")

    op: _Operator
    column: str | None = None

    @model_validator(mode="after")
    def _column_where_the_operator_has_one(self) -> Calculation:
        if (self.op in _WITHOUT_COLUMN) == bool(self.column):
            needs = "takes no" if self.op in _WITHOUT_COLUMN else "needs a"
            raise ValueError(f"{self.op} {needs} column")
        return self


class Filter(BaseModel):
    """Which events a query reads."""

    model_config = ConfigDict(extra="forbid")

    column: str
    op: Literal[
        "=",
        "!=",
        ">",
        ">=",
        "<",
        "<=",
        "starts-with",
        "does-not-start-with",
        "ends-with",
        "does-not-end-with",
        "exists",
        "does-not-exist",
        "contains",
        "does-not-contain",
        "in",
        "not-in",
    ]
    value: Any = None

    @model_validator(mode="after")
    def _value_where_the_operator_has_one(self) -> Filter:
        if ("exist" in self.op) == (self.value is not None):
            raise ValueError(f"{self.op} takes {'no' if 'exist' in self.op else 'a'} value")
        if self.op in ("in", "not-in") and not isinstance(self.value, list):
            raise ValueError(f"{self.op} takes a list")
        return self


class Order(BaseModel):
    """How a query's table is sorted."""

    model_config = ConfigDict(extra="forbid")

    op: _Operator | None = None
    column: str | None = None
    order: Literal["ascending", "descending"] = "ascending"


class Having(BaseModel):
    """Which rows of a query's table stay."""

    model_config = ConfigDict(extra="forbid")

    calculate_op: _Operator
    column: str | None = None
    op: Literal["=", "!=", ">", ">=", "<", "<="]
    value: float


class Query(BaseModel):
    """A query specification. Times are epoch seconds, `time_range` and `granularity` seconds."""

    model_config = ConfigDict(extra="forbid")

    breakdowns: list[str] = Field(default_factory=list, max_length=100)
    calculations: list[Calculation] = Field(
        default_factory=lambda: [Calculation(op="COUNT")],
        max_length=100,
    )
    filters: list[Filter] = Field(default_factory=list, max_length=100)
    filter_combination: Literal["AND", "OR"] = "AND"
    granularity: int | None = Field(default=None, ge=0)
    orders: list[Order] = Field(default_factory=list, max_length=100)
    limit: int = Field(default=100, ge=1, le=1000)
    havings: list[Having] = Field(default_factory=list, max_length=100)
    start_time: int | None = None
    end_time: int | None = None
    time_range: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _one_way_to_say_when(self) -> Query:
        if self.time_range is not None and None not in (self.start_time, self.end_time):
            raise ValueError("time_range, start_time and end_time: at most two of them")
        shown = {(one.op, one.column) for one in self.calculations}
        for order in self.orders:
            if order.op is None and order.column not in self.breakdowns:
                raise ValueError(f"orders: {order.column!r} is not among the breakdowns")
            if order.op is not None and (order.op, order.column) not in shown:
                raise ValueError(f"orders: {order.op} is not among the calculations")
        return self


class QueryAnnotation(BaseModel):
    """A name for a query, so that people find it."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=320)
    description: str = Field(default="", max_length=1023)
    query_id: str


def emulator(settings: Settings, _others: Mapping[str, Vendor]) -> Vendor:
    """Honeycomb."""
    return Honeycomb(settings)


class Honeycomb(Vendor):
    """Keeps events flattened as Honeycomb shows them."""

    name: ClassVar[str] = "honeycomb"
    modes: ClassVar[frozenset[Mode]] = EVERYWHERE | {"partial"}

    def __init__(self, settings: Settings) -> None:
        self.own = settings.of(Own)
        super().__init__(settings, self.own.port)
        # dataset → id → what was created; bounded by _MAX_CREATED.
        self.created: dict[str, dict[str, Json]] = {"markers": {}, "queries": {}, "annotations": {}}
        self.datasets: set[str] = set()

    def routes(self) -> Iterable[web.RouteDef]:
        """OTLP and the API."""
        return [
            *(web.post(f"/v1/{signal}", partial(self._export, signal)) for signal in otlp.SIGNALS),
            web.get("/1/auth", self._with_key(self._auth)),
            web.get("/1/datasets", self._with_key(self._list_datasets)),
            web.post("/1/markers/{dataset}", self._with_key(self._create_marker)),
            web.get("/1/markers/{dataset}", self._with_key(self._list_markers)),
            web.post("/1/queries/{dataset}", self._with_key(self._create_query)),
            web.get("/1/queries/{dataset}/{id}", self._with_key(self._get_query)),
            web.post("/1/query_annotations/{dataset}", self._with_key(self._create_annotation)),
            web.get("/1/query_annotations/{dataset}", self._with_key(self._list_annotations)),
        ]

    def error(
        self,
        request: web.Request,
        status: int,
        message: str,
        headers: dict[str, str] | None = None,
    ) -> web.Response:
        """A Status on the OTLP paths, the API's own JSON elsewhere."""
        if request.path.startswith("/v1/"):
            return otlp_http.error(request, status, message, headers)
        if status == 401:  # noqa: PLR2004
            return web.json_response({"error": message}, status=status, headers=headers)
        return self._problem(status, _PROBLEMS.get(status, "internal"), message, headers)

    def throttled(self, request: web.Request, fault: Fault) -> web.Response:
        """429 as problem+json on every path, with the RateLimit headers."""
        reset_in = fault.retry_after or 1
        headers = {
            "RateLimit": f"limit=100, remaining=0, reset={reset_in}",
            "RateLimit-Policy": "100;w=60",
        }
        if fault.retry_after is not None:
            headers["Retry-After"] = str(fault.retry_after)
        del request
        return self._problem(429, "rate-limited", "You have exceeded your rate limit.", headers)

    async def reset(self, *, everything: bool) -> None:
        """Queries and markers count as provisioned."""
        await super().reset(everything=everything)
        if everything:
            self.datasets.clear()
            for kind in self.created.values():
                kind.clear()

    def _problem(
        self,
        status: int,
        kind: str,
        detail: str,
        headers: dict[str, str] | None = None,
    ) -> web.Response:
        body = {
            "status": status,
            "type": f"https://api.honeycomb.io/problems/{kind}",
            "title": kind.replace("-", " "),
            "error": detail,
            "detail": detail,
        }
        return web.Response(
            status=status,
            body=json.dumps(body).encode(),
            headers={"Content-Type": "application/problem+json", **(headers or {})},
        )

    def _refused_key(self, request: web.Request) -> str | None:
        key = request.headers.get("x-honeycomb-team", "")
        if not key:
            return "missing 'x-honeycomb-team' header"
        if not same_secret(self.own.key, key):
            return UNKNOWN_KEY
        return None

    def _with_key(self, handler: _Handler) -> _Handler:
        async def checked(request: web.Request) -> web.StreamResponse:
            refused = self._refused_key(request)
            if refused is not None:
                raise BodyError(401, refused)
            return await handler(request)

        return checked

    async def _export(self, signal: otlp.Signal, request: web.Request) -> web.StreamResponse:
        refused = self._refused_key(request)
        if refused is not None:
            raise BodyError(401, refused)
        named = request.headers.get("x-honeycomb-dataset", "")
        if signal == "metrics" and not named:
            # Honeycomb itself would put them all into "unknown_metrics", where nobody looks.
            raise BodyError(400, "missing 'x-honeycomb-dataset' header")

        def keep(item: Item) -> Item:
            dataset = named if signal == "metrics" else item.service
            self.datasets.add(dataset)
            return replace(item, render=partial(_flatten, signal, dataset, item.render))

        return await otlp_http.receive(self, request, signal, LIMITS, keep=keep)

    async def _auth(self, request: web.Request) -> web.Response:
        del request
        own = self.own
        access = dict.fromkeys(
            ("events", "markers", "triggers", "boards", "queries", "columns", "createDatasets"),
            True,
        )
        return web.json_response(
            {
                "id": "hcalk_emulator",
                "type": "configuration",
                "api_key_access": {**access, "slos": False, "recipients": False},
                "team": {"name": own.team, "slug": own.team},
                "environment": {
                    "name": own.environment,
                    "slug": own.environment,
                },
            },
        )

    async def _list_datasets(self, request: web.Request) -> web.Response:
        del request
        return web.json_response([{"name": one, "slug": one} for one in sorted(self.datasets)])

    async def _create_marker(self, request: web.Request) -> web.Response:
        marker = await _parse(request, Marker)
        created = marker.model_dump(exclude_none=True)
        created.setdefault("start_time", int(time.time()))
        return self._create(request, "markers", created)

    async def _list_markers(self, request: web.Request) -> web.Response:
        return web.json_response(self._listed(request, "markers"))

    async def _create_query(self, request: web.Request) -> web.Response:
        query = await _parse(request, Query)
        return self._create(request, "queries", query.model_dump(exclude_none=True))

    async def _get_query(self, request: web.Request) -> web.Response:
        found = self.created["queries"].get(request.match_info["id"])
        if found is None or found["dataset"] != request.match_info["dataset"]:
            raise BodyError(404, "Query not found")
        return web.json_response(found)

    async def _create_annotation(self, request: web.Request) -> web.Response:
        annotation = await _parse(request, QueryAnnotation)
        if annotation.query_id not in self.created["queries"]:
            raise BodyError(404, "Query not found")
        return self._create(request, "annotations", annotation.model_dump())

    async def _list_annotations(self, request: web.Request) -> web.Response:
        return web.json_response(self._listed(request, "annotations"))

    def _create(self, request: web.Request, kind: str, body: Json) -> web.Response:
        dataset = request.match_info["dataset"]
        if dataset != EVERY_DATASET and dataset not in self.datasets:
            raise BodyError(404, f"Dataset not found: {dataset!r} has no events yet")
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        identifier = token_urlsafe(8)
        created = {
            "id": identifier,
            "dataset": dataset,
            **body,
            "created_at": now,
            "updated_at": now,
        }
        kept = self.created[kind]
        kept[identifier] = created
        if len(kept) > self.settings.max_requests:
            del kept[next(iter(kept))]
        return web.json_response(created, status=201 if kind == "markers" else 200)

    def _listed(self, request: web.Request, kind: str) -> list[Json]:
        dataset = request.match_info["dataset"]
        return [one for one in self.created[kind].values() if one["dataset"] == dataset]


async def _parse(request: web.Request, model: type[_Model]) -> _Model:
    body = await read(request, API_BODY)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        request[WHY] = f"{where}: {first['msg']}"
        status = 400 if first["type"] == "json_invalid" else 422
        raise BodyError(status, f"{where}: {first['msg']}") from None


def _flatten(signal: otlp.Signal, dataset: str, body: Callable[[], Json]) -> Json:
    """One event as Honeycomb's columns show it."""
    item = body()
    event: Json = {
        **item["resource"],
        **item["attributes"],
        "library.name": item["scope"]["name"],
        "meta.signal_type": {"traces": "trace", "logs": "log", "metrics": "metric"}[signal],
    }
    if signal == "metrics":
        event[item["name"]] = item.get("value", item.get("sum"))
        return {"dataset": dataset, "event": event, "temporality": item["temporality"]}
    event["trace.trace_id"] = item["trace_id"]
    if signal == "logs":
        event |= {"body": item["body"], "severity_text": item["severity_text"]}
        event["trace.parent_id"] = item["span_id"]
        return {"dataset": dataset, "event": event}
    duration = item["end_time_unix_nano"] - item["start_time_unix_nano"]
    event |= {
        "trace.span_id": item["span_id"],
        "name": item["name"],
        "span.kind": item["kind"].lower(),
        "duration_ms": duration / 1e6,
        "status_code": item["status"]["code"],
        "meta.span_event_count": len(item["events"]),
        "meta.span_link_count": len(item["links"]),
    }
    if item["parent_span_id"]:
        event["trace.parent_id"] = item["parent_span_id"]
    return {"dataset": dataset, "event": event, "events": item["events"], "links": item["links"]}
