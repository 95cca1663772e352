"""One endpoint for CloudWatch Logs, CloudWatch, STS and CloudFormation, told apart as AWS does."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, cast
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from aiohttp import web

from emulators.aws import model as awsmodel
from emulators.aws.expressions import ExpressionError
from emulators.aws.settings import Settings as Own
from emulators.aws.vendor import (
    ACCOUNT,
    FAULT_CODES,
    AwsError,
    AwsVendor,
    rest_json_error,
    validated,
)
from emulators.cloudwatch import contributor_insights, emf, insights, log_events, metric_filters
from emulators.cloudwatch.backend import Moto
from emulators.cloudwatch.events import flatten
from emulators.core import otlp, otlp_http, strict_json
from emulators.core.bodies import BodyError, decompress
from emulators.core.faults import EVERYWHERE, Fault, Mode
from emulators.core.settings import Settings
from emulators.core.store import Item, Json
from emulators.core.vendor import FAULT, WHY, Vendor
from emulators.xray.api import Region, XRay

BODY = 8 * otlp_http.MIB
MAX_QUERIES = 100
# Of the results of all queries, 250 bytes each.
MAX_CELLS = 200_000
_TARGETS = {"Logs_20140328": "logs", "GraniteServiceVersion20100801": "cloudwatch"}
_SIGNING = {"logs": "logs", "cloudwatch": "monitoring"}
# The names that a service's own form of AWS's general errors has over the query protocol.
_QUERY_CODES = {
    "UnrecognizedClientException": "InvalidClientTokenId",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "IncompleteSignatureException": "IncompleteSignature",
    "AccessDeniedException": "AccessDenied",
    "ThrottlingException": "Throttling",
    "InvalidRequestException": "ValidationError",
    "SerializationException": "MalformedInput",
}
# XML has no way to say these.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TRACE_ID = re.compile(
    r"\"[^\"]*trace_?id[^\"]*\"\s*:\s*\"(?:1-)?([0-9a-f]{8})-?([0-9a-f]{24})\"",
    re.IGNORECASE,
)
_LOGS_OTLP = otlp_http.Limits(sent=otlp_http.MIB, plain=otlp_http.MIB, items=10_000)
_METRICS_OTLP = otlp_http.Limits(sent=otlp_http.MIB, plain=otlp_http.MIB, items=1_000)


@dataclass(frozen=True, slots=True)
class LogEvent:
    """A stored event. Time is epoch milliseconds."""

    region: str
    group: str
    stream: str
    timestamp: int
    message: str

    def __call__(self) -> Json:
        """The event with its message, parsed where it is JSON."""
        shown: Json = {
            "group": self.group,
            "stream": self.stream,
            "timestamp": self.timestamp,
            "message": self.message,
        }
        if self.message.startswith("{"):
            try:
                shown["parsed"] = strict_json.loads(self.message)
            except ValueError:
                return shown
        return shown


def emulator(settings: Settings, others: Mapping[str, Vendor]) -> Vendor:
    """CloudWatch. CloudFormation makes X-Ray's groups and rules, too."""

    def region(name: str) -> Region:
        return cast("XRay", others[XRay.name]).region(name)

    return Aws(settings, region)


class Aws(AwsVendor):
    """Log events by trace id, metrics by name; the rest is moto's."""

    name: ClassVar[str] = "aws"
    modes: ClassVar[frozenset[Mode]] = EVERYWHERE | {"partial", "clock"}
    services: ClassVar[frozenset[str]] = frozenset(
        {"logs", "monitoring", "sts", "cloudformation", "iam", "sns"},
    )

    def __init__(self, settings: Settings, xray_region: Callable[[str], Region]) -> None:
        super().__init__(settings, settings.of(Own).port)
        self.moto = Moto(xray_region)
        # The answers of Insights queries by id, the oldest leaving first.
        self.queries: dict[str, Json] = {}

    def routes(self) -> Iterable[web.RouteDef]:
        """AWS's single path, and the OTLP endpoints."""
        return [
            web.post("/", self._operate),
            web.post("/v1/logs", partial(self._otlp, "logs")),
            web.post("/v1/metrics", partial(self._otlp, "metrics")),
        ]

    async def start(self) -> None:
        """Listen at once; the first call waits for moto."""
        self.moto.load()
        await super().start()

    async def stop(self) -> None:
        """Close the port and let moto's thread end."""
        await super().stop()
        self.moto.close()

    async def reset(self, *, everything: bool) -> None:
        """Log groups, alarms and stacks count as provisioned."""
        await super().reset(everything=everything)
        self.queries.clear()
        if everything:
            await self.moto.reset()

    def control_routes(self) -> Iterable[web.RouteDef]:
        """Metric values, by their namespace and name where the query has them."""
        return [web.get("/aws/metrics", self._metrics)]

    async def _metrics(self, request: web.Request) -> web.Response:
        wanted = {key: request.query[key] for key in ("namespace", "name") if key in request.query}
        metrics = (item.render() for item in self.store.items if item.signal == "metrics")
        return web.json_response([one for one in metrics if wanted.items() <= one.items()])

    def error(
        self,
        request: web.Request,
        status: int,
        message: str,
        headers: dict[str, str] | None = None,
    ) -> web.Response:
        """AWS's code for a status, in the form of the protocol that the request speaks."""
        if request.path.startswith("/v1/"):
            return otlp_http.error(request, status, message, headers)
        return self._error(request, FAULT_CODES.get(status, "ValidationException"), status, message)

    def throttled(self, request: web.Request, fault: Fault) -> web.Response:
        """These services say 400 ThrottlingException; only OTLP endpoints say 429."""
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        if request.path.startswith("/v1/"):
            return otlp_http.error(request, 429, "Rate exceeded", headers)
        return self._error(request, "ThrottlingException", 400, "Rate exceeded")

    def evicted(self, items: list[Item]) -> None:
        """What the store lets go, moto lets go too."""
        gone: Counter[tuple[str, str, str]] = Counter()
        for item in items:
            if isinstance(item.render, LogEvent):
                gone[item.render.region, item.render.group, item.render.stream] += 1
        if gone:
            task = asyncio.get_running_loop().create_task(self.moto.trim(gone), name="trim moto")
            self._trims.add(task)
            task.add_done_callback(self._trims.discard)

    _trims: ClassVar[set[asyncio.Task[None]]] = set()

    def _error(
        self,
        request: web.Request,
        code: str,
        status: int,
        message: str,
    ) -> web.Response:
        target = request.headers.get("X-Amz-Target", "")
        if target:
            # Only the query and REST protocols use 401 and 403; here it is 400 with a code.
            shown = 400 if status in (401, 403) else status
            response = rest_json_error(code, shown, message)
            response.content_type = "application/x-amz-json-1.1"
            return response
        code = _QUERY_CODES.get(code, code)
        kind = "Sender" if status < 500 else "Receiver"  # noqa: PLR2004
        said = escape(_NOT_XML.sub("\ufffd", message))
        return web.Response(
            status=status,
            content_type="text/xml",
            text=f"<ErrorResponse><Error><Type>{kind}</Type><Code>{code}</Code><Message>"
            f"{said}</Message></Error><RequestId>emulator</RequestId></ErrorResponse>",
        )

    async def _operate(self, request: web.Request) -> web.Response:
        try:
            return await self._dispatch(request)
        except AwsError as error:
            request[WHY] = f"{error.code}: {error}"
            return self._error(request, error.code, error.status, str(error))

    async def _dispatch(self, request: web.Request) -> web.Response:
        prefix, _, operation = request.headers.get("X-Amz-Target", "").partition(".")
        service = _TARGETS.get(prefix)
        if service is None:
            caller, body = await self.signed(request, BODY)
            if prefix:
                raise AwsError("UnknownOperationException", f"{prefix}.{operation} is not here")
            await self._check_action(caller.service, body)
            return await self._moto(request, body)
        caller, sent = await self.signed(request, BODY, {_SIGNING[service]})
        body = decompress(sent, request.headers.get("Content-Encoding", ""), BODY)
        ask = _json(body)
        if operation not in awsmodel.service(service).operation_names:
            raise AwsError("UnknownOperationException", f"{service} has no {operation}")
        ask = validated(service, operation, ask)
        if operation == "PutLogEvents":
            return _answer(await self._put_log_events(caller.region, ask, request))
        answer = await self._without_moto(operation, caller.region, ask)
        if answer is not None:
            return _answer(answer)
        # moto guesses the protocol from it; the body has been read as what it is.
        response = await self._moto(request, body, {"Content-Type": "application/x-amz-json-1.1"})
        if operation == "PutMetricData" and response.status == 200:  # noqa: PLR2004
            self._keep_metrics(_metric_data(ask))
            # Nothing to put, but moto's own copy has to stay inside its bound.
            await self.moto.put_metrics(caller.region, [])
        return response

    async def _without_moto(self, operation: str, region: str, ask: Json) -> Json | None:
        """The answer to what moto does not do, None for what it does once we have checked it."""
        match operation:
            case "StartQuery":
                return await self._start_query(region, ask)
            case "GetQueryResults":
                return self._query_results(ask)
            case "PutQueryDefinition":
                return self._put_query_definition(ask)
            case "DescribeQueryDefinitions":
                return self._query_definitions(ask)
            case "DescribeAlarms":
                await self.moto.evaluate_alarms(region)
            case "GetInsightRuleReport":
                return await self.moto.insight_report(region, ask)
            case "PutInsightRule":
                contributor_insights.parse(ask["RuleDefinition"])
            case "PutMetricFilter":
                metric_filters.check(ask)
            case "PutRetentionPolicy":
                log_events.check_retention(ask["retentionInDays"])
        return None

    async def _check_action(self, service: str, body: bytes) -> None:
        """A query-protocol call is one that its service's model takes, of types that we play."""
        form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        action = form.pop("Action", "")
        name = "cloudwatch" if service == "monitoring" else service
        model = awsmodel.service(name)
        if action not in model.operation_names:
            raise AwsError("InvalidAction", f"Could not find operation {action} of {name}")
        try:
            ask = awsmodel.from_query(model.operation_model(action), form)
        except awsmodel.WrongTypeError as error:
            raise AwsError("SerializationException", str(error)) from None
        validated(name, action, ask)
        unknown = await self.moto.unknown_types(form.get("TemplateBody", ""))
        if unknown:
            raise AwsError("ValidationError", f"not played here: {', '.join(unknown)}")

    async def _moto(
        self, request: web.Request, body: bytes, changed: dict[str, str] | None = None
    ) -> web.Response:
        left_out = {"content-length", "transfer-encoding", "content-encoding"}
        left_out |= {name.lower() for name in changed or ()}
        headers = {
            name: value for name, value in request.headers.items() if name.lower() not in left_out
        }
        headers |= changed or {}
        answer = await self.moto.call(request.method, request.raw_path, headers, body)
        if answer.status >= 400:  # noqa: PLR2004
            request[WHY] = answer.body[:200].decode(errors="replace")
        kept = {
            name: value
            for name, value in answer.headers.items()
            if name.lower() in ("content-type", "x-amzn-requestid", "x-amzn-errortype")
            or name.lower().startswith("x-amzn-query")
        }
        return web.Response(status=answer.status, body=answer.body, headers=kept)

    async def _put_log_events(self, region: str, ask: Json, request: web.Request) -> Json:
        group, stream = ask["logGroupName"], ask["logStreamName"]
        rejected: dict[str, int] = {}
        taken: list[Json] = []

        def check(retention_days: int | None) -> list[Json]:
            now_ms = int(time.time() * 1000)
            batch = log_events.check(ask["logEvents"], now_ms, retention_days)
            rejected.update(batch.rejected)
            taken.extend(batch.events)
            fault = request.get(FAULT)
            if fault is not None and taken:
                cut = fault.rejected_of(len(taken))
                rejected["tooOldLogEventEndIndex"] = len(ask["logEvents"]) - len(taken) + cut
                del taken[:cut]
            return taken

        token, filters = await self.moto.put_log_events(region, group, stream, check)
        self.store.add(_log_items(region, group, stream, taken))
        await self._extract(region, taken, filters)
        answer: Json = {"nextSequenceToken": token}
        if rejected:
            answer["rejectedLogEventsInfo"] = rejected
            request[WHY] = f"rejected: {rejected}"
        return answer

    async def _extract(self, region: str, events: list[Json], filters: list[Json]) -> None:
        try:
            values = list(metric_filters.extract(filters, events))
        except ExpressionError as error:
            # CloudWatch has taken the events by then, too.
            self._complain("filter_errors", error, "")
            values = []
        for event in events:
            message = event["message"]
            try:
                values += emf.extract(message)
            except emf.EmfError as error:
                self._complain("emf_errors", error, message)
        if values:
            self._keep_metrics(values)
            await self.moto.put_metrics(region, values)

    def _complain(self, kind: str, error: Exception, message: str) -> None:
        """Keep what went wrong behind an answer, where a test can see it."""
        report = {"error": str(error), "message": message[:2000]}
        self.store.add([Item(kind, str(error), len(message), report.copy)])

    async def _start_query(self, region: str, ask: Json) -> Json:
        groups = ask.get("logGroupNames") or ask.get("logGroupIdentifiers") or []
        groups = [*groups, ask["logGroupName"]] if "logGroupName" in ask else groups
        if not groups:
            raise AwsError("InvalidParameterException", "a log group is needed")
        # An identifier may be an ARN: …:log-group:<name>[:*]
        names = [one.partition(":log-group:")[2].removesuffix(":*") or one for one in groups]
        rows = [
            {
                # First: an event can have a member @timestamp.
                **flatten(message),
                "@timestamp": timestamp,
                "@message": message,
                "@logStream": stream,
                "@log": f"{ACCOUNT}:{group}",
                "@ptr": f"{group}/{stream}/{at}",
            }
            for at, (group, stream, timestamp, message) in enumerate(
                await self.moto.events(region, names),
            )
            if ask["startTime"] * 1000 <= timestamp <= ask["endTime"] * 1000
        ]
        rows.sort(key=lambda row: row["@timestamp"], reverse=True)
        try:
            results = insights.run(ask["queryString"], rows, ask.get("limit", 1000))
        except ExpressionError as error:
            raise AwsError("MalformedQueryException", str(error)) from None
        query_id = str(uuid.uuid4())
        self.queries[query_id] = {
            "results": results,
            "status": "Complete",
            "statistics": {"recordsMatched": len(results), "recordsScanned": len(rows)},
        }
        kept = {name: sum(map(len, one["results"])) for name, one in self.queries.items()}
        while len(kept) > 1 and (len(kept) > MAX_QUERIES or sum(kept.values()) > MAX_CELLS):
            oldest = next(iter(kept))
            del kept[oldest], self.queries[oldest]
        return {"queryId": query_id}

    def _query_results(self, ask: Json) -> Json:
        found = self.queries.get(ask["queryId"])
        if found is None:
            raise AwsError("ResourceNotFoundException", "The specified query does not exist.")
        return found

    def _put_query_definition(self, ask: Json) -> Json:
        known = self.moto.query_definitions
        identifier = ask.get("queryDefinitionId") or str(uuid.uuid4())
        if "queryDefinitionId" in ask and identifier not in known:
            raise AwsError("ResourceNotFoundException", "There is no query with that id.")
        known[identifier] = {
            "queryDefinitionId": identifier,
            "name": ask["name"],
            "queryString": ask["queryString"],
            "logGroupNames": ask.get("logGroupNames", []),
        }
        return {"queryDefinitionId": identifier}

    def _query_definitions(self, ask: Json) -> Json:
        prefix = ask.get("queryDefinitionNamePrefix", "")
        every = self.moto.query_definitions.values()
        return {"queryDefinitions": [one for one in every if one["name"].startswith(prefix)]}

    def _keep_metrics(self, values: Iterable[emf.MetricValue]) -> None:
        self.store.add(
            Item(
                "metrics",
                f"{value.namespace}/{value.name}/{','.join(value.dimensions)}/{value.timestamp}",
                200 + 40 * len(value.dimensions) + 16 * len(value.values),
                value.as_json,
                tuple(dict.fromkeys(_ids_in_dimensions(value.dimensions))),
                value=value.total,
            )
            for value in values
        )

    async def _otlp(self, signal: otlp.Signal, request: web.Request) -> web.Response:
        """The OTLP endpoints: logs need a group and a stream that exist."""
        limits = _LOGS_OTLP if signal == "logs" else _METRICS_OTLP
        service = "logs" if signal == "logs" else "monitoring"
        try:
            caller, _ = await self.signed(request, limits.sent, {service})
        except AwsError as error:
            return otlp_http.error(request, error.status, f"{error.code}: {error}")
        if signal == "logs":
            await self._existing_stream(request, caller.region)
        return await otlp_http.receive(self, request, signal, limits)

    async def _existing_stream(self, request: web.Request, region: str) -> None:
        group = request.headers.get("x-aws-log-group", "")
        stream = request.headers.get("x-aws-log-stream", "")
        if not group or not stream:
            raise BodyError(400, "x-aws-log-group and x-aws-log-stream headers are needed")
        try:
            # CreateLogStream's rules for both names are those of all of CloudWatch Logs.
            validated("logs", "CreateLogStream", {"logGroupName": group, "logStreamName": stream})
            await self.moto.put_log_events(region, group, stream, lambda _: [])
        except AwsError as error:
            raise BodyError(400, f"{error.code}: {error}") from None


def _answer(body: Json) -> web.Response:
    return web.json_response(body, content_type="application/x-amz-json-1.1")


def _json(body: bytes) -> Json:
    try:
        tree = strict_json.loads(body or b"{}")
    except ValueError as error:
        raise AwsError("SerializationException", f"the body is no JSON: {error}") from None
    if not isinstance(tree, dict):
        raise AwsError("SerializationException", "the body is no JSON object")
    return tree


def _log_items(region: str, group: str, stream: str, events: list[Json]) -> Iterator[Item]:
    for event in events:
        message: str = event["message"]
        found = (first + rest for first, rest in _TRACE_ID.findall(message))
        yield Item(
            "logs",
            f"{group}/{stream}/{event['timestamp']}/{hash(message):x}",
            len(message.encode(errors="replace")),
            LogEvent(region, group, stream, event["timestamp"], message),
            tuple(dict.fromkeys(one.lower() for one in found)),
            stream,
        )


def _ids_in_dimensions(dimensions: dict[str, str]) -> Iterator[str]:
    for name, value in dimensions.items():
        if "trace_id" in name and re.fullmatch(r"[0-9a-f]{32}", value):
            yield value


def _metric_data(ask: Json) -> Iterator[emf.MetricValue]:
    """PutMetricData's own values, as those of EMF."""
    for datum in ask.get("MetricData", ()):
        stats: dict[str, Any] | None = datum.get("StatisticValues")
        keys = ("Sum", "Minimum", "Maximum", "SampleCount")
        numbers = datum.get("Values") or [datum.get("Value", 0)]
        counts = datum.get("Counts") or [1] * len(numbers)
        when = datum.get("Timestamp")
        yield emf.MetricValue(
            ask["Namespace"],
            datum["MetricName"],
            datum.get("Unit", "None"),
            {one["Name"]: one["Value"] for one in datum.get("Dimensions", ())},
            int((when if isinstance(when, int | float) else time.time()) * 1000),
            () if stats else tuple(zip(numbers, counts, strict=False)),
            tuple(float(stats[key]) for key in keys) if stats else None,  # type: ignore[arg-type]
        )
