"""X-Ray's API: signed requests, checked against AWS's model, answered as rest-json."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from aiohttp import web

from emulators.aws import model as awsmodel
from emulators.aws.expressions import ExpressionError
from emulators.aws.vendor import (
    ACCOUNT,
    FAULT_CODES,
    AwsError,
    AwsVendor,
    rest_json_error,
    validated,
)
from emulators.core import otlp_http, strict_json
from emulators.core.bodies import BodyError, decompress
from emulators.core.faults import EVERYWHERE, Fault, Mode
from emulators.core.settings import Settings
from emulators.core.store import Item, Json
from emulators.core.trace_ids import XRAY
from emulators.core.vendor import FAULT, WHY, Vendor
from emulators.xray import segments
from emulators.xray.filters import Predicate, Subject, compile_filter
from emulators.xray.groups import GroupError, Groups
from emulators.xray.sampling import RuleError, Sampling
from emulators.xray.settings import Settings as Own

BODY = 8 * 1024 * 1024
MAX_TRACES = 5
PAGE = 100
MAX_RANGE = 6 * 3600
# The OTLP endpoint's own limits.
OTLP_LIMITS = otlp_http.Limits(sent=5 * otlp_http.MIB, plain=5 * otlp_http.MIB, items=10_000)
OTLP_SPAN = 200 * 1024


@dataclass(frozen=True, slots=True)
class SegmentBody:
    """A stored document. Times are epoch seconds."""

    region: str
    raw: str
    id: str
    start: float
    end: float
    in_progress: bool

    def __call__(self) -> Json:
        """The document as sent."""
        tree: Json = json.loads(self.raw)
        return tree


@dataclass(slots=True)
class Region:
    """What is provisioned in one region."""

    name: str
    groups: Groups = field(init=False)
    sampling: Sampling = field(init=False)
    destination: str = "XRay"

    def __post_init__(self) -> None:
        """Groups and rules carry the region in their ARNs."""
        prefix = f"arn:aws:xray:{self.name}:{ACCOUNT}"
        self.groups = Groups(prefix)
        self.sampling = Sampling(prefix)


_Operation = Callable[[Region, Json, Fault | None], Json]


def emulator(settings: Settings, _others: Mapping[str, Vendor]) -> Vendor:
    """X-Ray."""
    return XRay(settings)


class XRay(AwsVendor):
    """Segments by trace id; groups and sampling rules by region."""

    name: ClassVar[str] = "xray"
    modes: ClassVar[frozenset[Mode]] = EVERYWHERE | {"unprocessed", "clock"}
    services: ClassVar[frozenset[str]] = frozenset({"xray"})

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, settings.of(Own).port)
        self.regions: dict[str, Region] = {}

    def routes(self) -> Iterable[web.RouteDef]:
        """Every operation of AWS's model; those we do not play are refused by name."""
        operations: dict[str, _Operation] = {
            "PutTraceSegments": self._put_segments,
            "BatchGetTraces": self._batch_get_traces,
            "GetTraceSummaries": self._summaries,
            "PutTelemetryRecords": self._put_telemetry,
            "CreateGroup": lambda at, ask, _: {"Group": at.groups.create(ask)},
            "GetGroup": lambda at, ask, _: {"Group": at.groups.get(ask)},
            "GetGroups": lambda at, _ask, _: {"Groups": list(at.groups.groups.values())},
            "UpdateGroup": lambda at, ask, _: {"Group": at.groups.update(ask)},
            "DeleteGroup": lambda at, ask, _: at.groups.delete(ask),
            "CreateSamplingRule": lambda at, ask, _: {
                "SamplingRuleRecord": at.sampling.create(ask["SamplingRule"]).as_record(),
            },
            "UpdateSamplingRule": lambda at, ask, _: {
                "SamplingRuleRecord": at.sampling.update(ask["SamplingRuleUpdate"]).as_record(),
            },
            "DeleteSamplingRule": lambda at, ask, _: {
                "SamplingRuleRecord": at.sampling.delete(ask).as_record(),
            },
            "GetSamplingRules": lambda at, _ask, _: {"SamplingRuleRecords": at.sampling.records()},
            "GetSamplingTargets": _targets,
            "GetSamplingStatisticSummaries": lambda at, _ask, _: {
                "SamplingStatisticSummaries": list(at.sampling.statistics),
            },
            "GetTraceSegmentDestination": lambda at, _ask, _: _destination(at),
            "UpdateTraceSegmentDestination": _set_destination,
        }
        modelled = awsmodel.routes("xray")
        return [
            web.post("/v1/traces", self._otlp),
            *(
                web.post(path, partial(self._operate, operation.name, operations))
                for path, operation in modelled.items()
            ),
        ]

    def region(self, name: str) -> Region:
        """The region of that name, made when first asked for."""
        if name not in self.regions:
            self.regions[name] = Region(name)
        return self.regions[name]

    def error(
        self,
        request: web.Request,
        status: int,
        message: str,
        headers: dict[str, str] | None = None,
    ) -> web.Response:
        """AWS's rest-json form."""
        if request.path == "/v1/traces":
            return otlp_http.error(request, status, message, headers)
        code = FAULT_CODES.get(status, FAULT_CODES[400])
        return rest_json_error(code, status, message, headers)

    def throttled(self, request: web.Request, fault: Fault) -> web.Response:
        """X-Ray's own name for it."""
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        if request.path == "/v1/traces":
            return otlp_http.error(request, 429, "Rate exceeded", headers)
        return rest_json_error("ThrottledException", 429, "Rate exceeded", headers)

    async def reset(self, *, everything: bool) -> None:
        """Groups and rules count as provisioned."""
        await super().reset(everything=everything)
        if everything:
            self.regions.clear()

    async def _operate(
        self,
        name: str,
        operations: dict[str, _Operation],
        request: web.Request,
    ) -> web.Response:
        try:
            caller, body = await self.signed(request, BODY)
            plain = decompress(body, request.headers.get("Content-Encoding", ""), BODY)
            ask = _params(name, plain)
            operation = operations.get(name, _not_played(name))
            answer = operation(self.region(caller.region), ask, request.get(FAULT))
        except AwsError as error:
            request[WHY] = f"{error.code}: {error}"
            return rest_json_error(error.code, error.status, str(error))
        except RuleError as error:
            request[WHY] = str(error)
            return rest_json_error(error.code, 400, str(error))
        except (GroupError, ExpressionError) as error:
            request[WHY] = str(error)
            return rest_json_error("InvalidRequestException", 400, str(error))
        unprocessed = answer.get("UnprocessedTraceSegments")
        if unprocessed:
            request[WHY] = f"{len(unprocessed)} unprocessed: {unprocessed[0]['Message']}"
        return web.json_response(answer)

    async def _otlp(self, request: web.Request) -> web.Response:
        try:
            caller, _ = await self.signed(request, OTLP_LIMITS.sent)
        except AwsError as error:
            return otlp_http.error(request, error.status, f"{error.code}: {error}")
        if self.region(caller.region).destination != "CloudWatchLogs":
            raise BodyError(
                400,
                "The OTLP API is supported with CloudWatch Logs as a Trace Segment Destination.",
            )
        return await otlp_http.receive(self, request, "traces", OTLP_LIMITS, keep=_span_fits)

    def _put_segments(self, region: Region, ask: Json, fault: Fault | None) -> Json:
        documents: list[str] = ask["TraceSegmentDocuments"]
        if len(documents) > segments.MAX_DOCUMENTS:
            raise AwsError(
                "InvalidRequestException",
                f"{len(documents)} documents in a put, limit {segments.MAX_DOCUMENTS}",
            )
        unprocessed: list[Json] = []
        taken: list[Item] = []
        for raw in documents:
            parsed = segments.parse(raw)
            if isinstance(parsed, segments.Unprocessed):
                unprocessed.append(parsed.as_dict())
            else:
                taken.append(_item(region.name, raw, parsed))
        if fault is not None and taken:
            cut = fault.rejected_of(len(taken))
            unprocessed += [
                {
                    "Id": item.id.partition(":")[2],
                    "ErrorCode": "ThrottledException",
                    "Message": "told to reject",
                }
                for item in taken[:cut]
            ]
            taken = taken[cut:]
        self.store.add(taken)
        return {"UnprocessedTraceSegments": unprocessed}

    def _put_telemetry(self, region: Region, ask: Json, fault: Fault | None) -> Json:
        del region, fault
        self.store.add(
            Item("telemetry", str(ask.get("ResourceARN", "")), len(str(record)), record.copy)
            for record in ask["TelemetryRecords"]
        )
        return {}

    def _batch_get_traces(self, region: Region, ask: Json, fault: Fault | None) -> Json:
        del fault
        trace_ids: list[str] = ask["TraceIds"]
        if len(trace_ids) > MAX_TRACES:
            raise AwsError("InvalidRequestException", f"at most {MAX_TRACES} trace ids")
        traces: list[Json] = []
        malformed: list[str] = []
        for trace_id in trace_ids:
            if XRAY.fullmatch(trace_id) is None:
                malformed.append(trace_id)
                continue
            bodies = self._bodies(region, segments.hex_trace_id(trace_id))
            if bodies:
                traces.append(
                    {
                        "Id": trace_id,
                        "Duration": _span_of(bodies),
                        "LimitExceeded": False,
                        "Segments": [{"Id": one.id, "Document": one.raw} for one in bodies],
                    },
                )
        return {"Traces": traces, "UnprocessedTraceIds": malformed}

    def _summaries(self, region: Region, ask: Json, fault: Fault | None) -> Json:
        del fault
        start, end = float(ask["StartTime"]), float(ask["EndTime"])
        if not 0 <= end - start <= MAX_RANGE:
            raise AwsError("InvalidRequestException", "EndTime must be 0 to 6 h after StartTime")
        expression = ask.get("FilterExpression", "")
        matches: Predicate = compile_filter(expression) if expression else (lambda _: True)
        found: list[Json] = []
        processed = 0
        for trace_id in self.store.trace_ids():
            bodies = self._bodies(region, trace_id)
            # Random (W3C) trace ids hold no time, so it is the first segment's that counts.
            if not bodies or not start <= min(one.start for one in bodies) <= end:
                continue
            processed += 1
            documents = [_document(one) for one in bodies]
            subject = Subject(
                [part for document in documents for part in segments.all_parts(document)],
                _span_of(bodies),
                _response_time(documents),
                region.groups.predicates,
            )
            if matches(subject):
                found.append(_summary(trace_id, bodies, documents, subject))
        at = int(ask.get("NextToken", "0")) if ask.get("NextToken", "0").isdigit() else 0
        answer: Json = {
            "TraceSummaries": found[at : at + PAGE],
            "ApproximateTime": time.time(),
            "TracesProcessedCount": processed,
        }
        if at + PAGE < len(found):
            answer["NextToken"] = str(at + PAGE)
        return answer

    def _bodies(self, region: Region, trace_id: str) -> list[SegmentBody]:
        """The documents of a trace; a finished one takes the place of its unfinished self."""
        by_id: dict[str, SegmentBody] = {}
        for item in self.store.of_trace(trace_id, "traces"):
            body = item.render
            if not isinstance(body, SegmentBody) or body.region != region.name:
                continue
            known = by_id.get(body.id)
            if known is None or known.in_progress or not body.in_progress:
                by_id[body.id] = body
        return list(by_id.values())


def _params(name: str, body: bytes) -> Json:
    try:
        tree = strict_json.loads(body or b"{}")
    except ValueError as error:
        raise AwsError("SerializationException", f"the body is no JSON: {error}") from None
    if not isinstance(tree, dict):
        raise AwsError("SerializationException", "the body is no JSON object")
    return validated("xray", name, tree)


def _item(region: str, raw: str, document: segments.Document) -> Item:
    trace_id = segments.hex_trace_id(document.trace_id)
    end = document.start_time if document.end_time is None else document.end_time
    body = SegmentBody(
        region,
        raw,
        document.id,
        document.start_time,
        end,
        document.end_time is None,
    )
    service = document.name if isinstance(document, segments.Segment) else ""
    return Item("traces", f"{trace_id}:{document.id}", len(raw), body, (trace_id,), service)


def _document(body: SegmentBody) -> segments.Document:
    parsed = segments.parse(body.raw)
    if isinstance(parsed, segments.Unprocessed):
        raise TypeError(f"a stored document does not parse: {parsed.message}")
    return parsed


def _span_of(bodies: list[SegmentBody]) -> float:
    return round(max(one.end for one in bodies) - min(one.start for one in bodies), 6)


def _root(documents: list[segments.Document]) -> segments.Document:
    whole = [one for one in documents if isinstance(one, segments.Segment)]
    parentless = [one for one in whole if one.parent_id is None]
    return min(parentless or whole or documents, key=lambda one: one.start_time)


def _response_time(documents: list[segments.Document]) -> float:
    root = _root(documents)
    return round((root.end_time or root.start_time) - root.start_time, 6)


def _summary(
    trace_id: str,
    bodies: list[SegmentBody],
    documents: list[segments.Document],
    subject: Subject,
) -> Json:
    root = _root(documents)
    names = list(dict.fromkeys(one.name for one in documents if isinstance(one, segments.Segment)))
    services = [{"Name": name, "Names": [name], "AccountId": ACCOUNT} for name in names]
    annotations: dict[str, list[Json]] = {}
    for part in subject.parts:
        for key, one in (part.annotations or {}).items():
            kind = (
                "BooleanValue"
                if isinstance(one, bool)
                else "StringValue"
                if isinstance(one, str)
                else "NumberValue"
            )
            annotations.setdefault(key, []).append({"AnnotationValue": {kind: one}})
    request = root.http.request if root.http else None
    response = root.http.response if root.http else None
    http: dict[str, Any] = {
        "HttpURL": request and request.url,
        "HttpMethod": request and request.method,
        "UserAgent": request and request.user_agent,
        "ClientIp": request and request.client_ip,
        "HttpStatus": response and response.status,
    }
    return {
        "Id": segments.xray_trace_id(trace_id),
        "StartTime": min(one.start for one in bodies),
        "Duration": _span_of(bodies),
        "ResponseTime": subject.response_time,
        "HasFault": subject.flag("fault"),
        "HasError": subject.flag("error"),
        "HasThrottle": subject.flag("throttle"),
        "IsPartial": subject.flag("partial"),
        "Http": {key: one for key, one in http.items() if one is not None},
        "Annotations": annotations,
        "Users": [{"UserName": user} for user in dict.fromkeys(subject.values("user"))],
        "ServiceIds": services,
        "EntryPoint": {"Name": root.name, "Names": [root.name], "AccountId": ACCOUNT},
        "Revision": len(bodies),
    }


def _not_played(name: str) -> _Operation:
    def refuse(region: Region, ask: Json, fault: Fault | None) -> Json:
        del region, ask, fault
        raise AwsError("UnknownOperationException", f"{name} is not played here", 404)

    return refuse


def _targets(region: Region, ask: Json, fault: Fault | None) -> Json:
    del fault
    # AWS's model bounds them to 25, and has been asked already.
    return region.sampling.targets(ask["SamplingStatisticsDocuments"])


def _destination(region: Region) -> Json:
    return {"Destination": region.destination, "Status": "ACTIVE"}


def _set_destination(region: Region, ask: Json, fault: Fault | None) -> Json:
    del fault
    region.destination = ask.get("Destination", region.destination)
    return _destination(region)


def _span_fits(item: Item) -> Item:
    if item.size > OTLP_SPAN:
        raise BodyError(400, f"a span of {item.size} bytes, limit {OTLP_SPAN}")
    return item
