"""Rollbar: items with a project's token, checked against the documented payload."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emulators.core import strict_json, trace_ids
from emulators.core.bodies import BodyError, decompress, read
from emulators.core.faults import Fault
from emulators.core.guard import same_secret
from emulators.core.settings import Settings
from emulators.core.store import Item, Json
from emulators.core.vendor import WHY, Vendor
from emulators.rollbar.settings import Settings as Own

BODY = 1024 * 1024
CLIENT_PLATFORMS = frozenset({"browser", "client", "android", "ios", "flash"})
"""What a post_client_item token may tell of."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow")


class Frame(_Part):
    """One line of a stack."""

    filename: str
    lineno: int | None = None


class RaisedException(_Part):
    """What was raised."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    class_name: str = Field(alias="class")
    message: str | None = None


class Trace(_Part):
    """An exception with its stack."""

    frames: list[Frame]
    exception: RaisedException


class Message(_Part):
    """A plain message."""

    body: Annotated[str, Field(min_length=1)]


class Body(_Part):
    """What happened: exactly one of the four forms."""

    trace: Trace | None = None
    trace_chain: Annotated[list[Trace], Field(min_length=1)] | None = None
    message: Message | None = None
    crash_report: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _exactly_one_form(self) -> Body:
        forms = (self.trace, self.trace_chain, self.message, self.crash_report)
        if sum(form is not None for form in forms) != 1:
            raise ValueError("exactly one of trace, trace_chain, message, crash_report")
        return self


class Person(_Part):
    """Who it happened to."""

    id: Annotated[str, Field(max_length=40)] | int
    username: Annotated[str, Field(max_length=255)] | None = None
    email: Annotated[str, Field(max_length=255)] | None = None


class Data(_Part):
    """One occurrence."""

    environment: Annotated[str, Field(min_length=1, max_length=255)]
    body: Body
    level: Literal["critical", "error", "warning", "info", "debug"] = "error"
    timestamp: int | None = None
    code_version: Annotated[str, Field(max_length=40)] | None = None
    platform: Annotated[str, Field(max_length=255)] | None = None
    language: Annotated[str, Field(max_length=40)] | None = None
    framework: Annotated[str, Field(max_length=40)] | None = None
    context: Annotated[str, Field(max_length=255)] | None = None
    request: dict[str, Any] | None = None
    person: Person | None = None
    server: dict[str, Any] | None = None
    custom: dict[str, Any] | None = None
    fingerprint: Annotated[str, Field(max_length=40)] | None = None
    title: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    uuid: Annotated[str, Field(max_length=36)] | None = None
    notifier: dict[str, Any] | None = None


class Payload(_Part):
    """What is posted."""

    access_token: str | None = None
    data: Data


def emulator(settings: Settings, _others: Mapping[str, Vendor]) -> Vendor:
    """Rollbar."""
    return Rollbar(settings)


class Rollbar(Vendor):
    """Items by uuid and, where `custom` has one, by trace id."""

    name: ClassVar[str] = "rollbar"
    asked_by_pages: ClassVar[bool] = True

    def __init__(self, settings: Settings) -> None:
        self.own = settings.of(Own)
        super().__init__(settings, self.own.port)

    def routes(self) -> Iterable[web.RouteDef]:
        """The item endpoint with and without its slash, and the health check."""
        return [
            web.post("/api/1/item/", self._item),
            web.post("/api/1/item", self._item),
            web.options("/api/1/item/", self._preflight),
            web.options("/api/1/item", self._preflight),
            web.get("/api/1/status/ping", self._ping),
        ]

    def control_routes(self) -> Iterable[web.RouteDef]:
        """The items with a uuid: more than one is a duplicate."""
        return [web.get("/rollbar/items/{uuid}", self._items_of)]

    def error(
        self,
        request: web.Request,
        status: int,
        message: str,
        headers: dict[str, str] | None = None,
    ) -> web.Response:
        """Rollbar's form: err 1 and a message."""
        del request
        return web.json_response({"err": 1, "message": message}, status=status, headers=headers)

    def throttled(self, request: web.Request, fault: Fault) -> web.Response:
        """429 with Rollbar's own headers."""
        left = str(fault.retry_after or 1)
        headers = {
            "X-Rate-Limit-Limit": "5000",
            "X-Rate-Limit-Remaining": "0",
            "X-Rate-Limit-Remaining-Seconds": left,
        }
        if fault.retry_after is not None:
            headers["Retry-After"] = left
        return self.error(request, 429, "over rate limit", headers)

    async def _items_of(self, request: web.Request) -> web.Response:
        uuid_asked = request.match_info["uuid"]
        return web.json_response(
            [one.render() for one in self.store.items if one.id == uuid_asked],
        )

    async def _ping(self, request: web.Request) -> web.Response:
        del request
        return web.Response(text="pong")

    async def _preflight(self, request: web.Request) -> web.Response:
        del request
        headers = {
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Content-Type, X-Rollbar-Access-Token",
        }
        return web.Response(status=204, headers=headers)

    async def _item(self, request: web.Request) -> web.Response:
        sent = await read(request, BODY)
        raw = decompress(sent, request.headers.get("Content-Encoding", ""), BODY)
        # The token comes first: a stranger learns nothing about the payload.
        try:
            tree, broken = strict_json.loads(raw), ""
        except ValueError as error:
            tree, broken = None, str(error)
        in_body = tree.get("access_token") if isinstance(tree, dict) else None
        token = request.headers.get("X-Rollbar-Access-Token") or in_body
        if not token:
            raise BodyError(401, "access token required")
        by_client = same_secret(self.own.client_token, str(token))
        if not by_client and not same_secret(self.own.token, str(token)):
            raise BodyError(403, "invalid access token")
        if broken:
            raise BodyError(400, f"invalid JSON: {broken}")
        try:
            payload = Payload.model_validate(tree)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            request[WHY] = f"{where}: {first['msg']}"
            raise BodyError(422, f"Invalid format: {where}: {first['msg']}") from None
        if by_client and payload.data.platform not in CLIENT_PLATFORMS:
            raise BodyError(403, "a client token takes items of clients only")
        identifier = payload.data.uuid or uuid.uuid4().hex
        data = json.dumps({**tree["data"], "uuid": identifier}).encode()
        trace_ids = tuple(dict.fromkeys(_trace_ids(payload.data.custom or {})))
        self.store.add(
            [Item("items", identifier, len(data), partial(json.loads, data), trace_ids)],
        )
        return web.json_response({"err": 0, "result": {"id": None, "uuid": identifier}})


def _trace_ids(custom: Json) -> Iterator[str]:
    """Trace ids in `custom` or in an object in it, where the name says trace: 32 hex digits."""
    named = list(custom.items())
    for key, one in custom.items():
        if isinstance(one, dict):
            named += [(f"{key}.{inner}", deep) for inner, deep in one.items()]
    for key, one in named:
        if isinstance(one, str) and "trace" in key.lower():
            plain = one.lower()
            if trace_ids.PLAIN.fullmatch(plain):
                yield plain
