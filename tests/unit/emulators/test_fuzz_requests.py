"""Whatever a request's body says, a vendor answers it or refuses it, and what it keeps it can show.

`test_fuzz.py` asks the parsers; here are whole requests, with what comes after: being found by a
query, counted, and shown by the control port.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emulators.aws import model as awsmodel
from emulators.client import Client
from emulators.core import otlp
from emulators.honeycomb.settings import Settings as HoneycombSettings
from emulators.rollbar.settings import Settings as RollbarSettings
from tests.unit import fuzzing
from tests.unit.emulators.conftest import SETTINGS

quick = settings(fuzzing.quick, max_examples=80)
# Of what takes several requests, or long to think of.
few = settings(quick, max_examples=40)
TRACE, SPAN = "0" * 31 + "1", "0" * 15 + "1"
JSON = {"Content-Type": "application/json"}

# What JSON can say and few readers think of. Python's own reader takes the last three as well.
NUMBERS = [10**17, 2**63, -1, 0, 1e308, 5e-324, 10**400, math.inf, math.nan]
numbers = st.sampled_from(NUMBERS) | st.integers() | st.floats()
texts = st.text(st.characters(), max_size=20) | st.sampled_from(["\ud800", "", "\0", "x" * 3000])
trees = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)
# Around what Python reads, what it writes a few calls deeper, and what it can do neither with.
deep = st.sampled_from([50, 99, 500, 900, *range(940, 1000, 10), 5000]).flatmap(
    lambda depth: st.sampled_from(
        ["[" * depth + "1" + "]" * depth, '{"a":' * depth + "1" + "}" * depth]
    )
)


@dataclass(frozen=True)
class Sender:
    """Sends bodies as they are, and sees each answered or refused."""

    ports: dict[str, int]
    session: requests.Session

    def send(
        self, vendor: str, path: str, body: str | bytes, headers: Any, method: str = "POST"
    ) -> requests.Response:
        url = f"http://127.0.0.1:{self.ports[vendor]}{path}"
        sent = body.encode(errors="surrogatepass") if isinstance(body, str) else body
        answer = self.session.request(method, url, data=sent, headers=headers, timeout=300)
        assert answer.status_code // 100 in (2, 4), (vendor, path, sent[:1000], answer.text[:500])
        return answer

    def signed(
        self, vendor: str, path: str, body: str | bytes, headers: Any, service: str = "xray"
    ) -> requests.Response:
        url = f"http://127.0.0.1:{self.ports[vendor]}{path}"
        request = AWSRequest("POST", url, data=body, headers=headers)
        key = Credentials(SETTINGS.access_key_id, SETTINGS.secret_access_key)
        SigV4Auth(key, service, "us-east-1").add_auth(request)
        return self.send(vendor, path, body, dict(request.headers.items()))

    def aws(self, operation: str, ask: Any) -> requests.Response:
        """An operation of CloudWatch Logs or of CloudWatch."""
        logs = operation in awsmodel.service("logs").operation_names
        target = "Logs_20140328" if logs else "GraniteServiceVersion20100801"
        headers = {**JSON, "X-Amz-Target": f"{target}.{operation}"}
        return self.signed("aws", "/", json.dumps(ask), headers, "logs" if logs else "monitoring")

    def shown(self, vendor: str) -> dict[str, Any]:
        """What the vendor holds of TRACE; shows all it holds on the way, and forgets it."""
        held: dict[str, Any] = self.send(
            "control", f"/holds/{vendor}/{TRACE}", "", {}, "GET"
        ).json()
        for path in (f"/items/{vendor}", "/counts", "/aws/metrics"):
            self.send("control", path, "", {}, "GET")
        self.send("control", "/reset", json.dumps({"vendor": vendor}), {})
        return held


@pytest.fixture(scope="module")
def sender(shared: Client) -> Iterator[Sender]:
    with requests.Session() as session:
        session.trust_env = False
        yield Sender(shared.ports(), session)
    shared.heal()
    shared.reset(everything=True)


SEGMENT = {
    "name": "b",
    "id": SPAN,
    "trace_id": f"1-{TRACE[:8]}-{TRACE[8:]}",
    "start_time": 1.0,
    "end_time": 2.0,
}
MEMBERS = ("start_time", "end_time", "annotations", "metadata", "subsegments", "http", "user")
EXPRESSIONS = (
    *("", "duration > 1", "responsetime < 1", "annotation.a != 1", 'group.name = "a"'),
    *('service("b") { fault }', 'user CONTAINS "x" OR http.status >= 500', "!!ok AND partial"),
)


@few
@given(
    changes=st.dictionaries(st.sampled_from(MEMBERS), trees),
    metadata=deep | st.just("{}"),
    expression=st.sampled_from(EXPRESSIONS),
)
@example(changes={}, metadata="{}", expression='group.name = "a"')
@example(changes={"start_time": 10**400, "end_time": 10**400}, metadata="{}", expression="")
@example(changes={"end_time": math.inf}, metadata="{}", expression="duration > 1")
def test_segment_documents(
    sender: Sender, changes: dict[str, Any], metadata: str, expression: str
) -> None:
    sender.signed("xray", "/CreateGroup", '{"GroupName": "a", "FilterExpression": "ok"}', JSON)
    document = json.dumps({"metadata": 0, **SEGMENT, **changes})
    document = document.replace('"metadata": 0', f'"metadata": {metadata}')

    ask = json.dumps({"TraceSegmentDocuments": [document]})
    answer = sender.signed("xray", "/TraceSegments", ask, JSON).json()

    ask = json.dumps({"StartTime": 0, "EndTime": 10, "FilterExpression": expression})
    sender.signed("xray", "/TraceSummaries", ask, JSON)
    sender.signed("xray", "/Traces", json.dumps({"TraceIds": [SEGMENT["trace_id"]]}), JSON)
    assert bool(answer["UnprocessedTraceSegments"]) is not bool(sender.shown("xray"))


def of_shape(shape: Shape | None, depth: int = 0) -> st.SearchStrategy[Any]:
    """What AWS's model says belongs there, now and then something else."""
    if shape is None or depth > 5:
        return st.none()
    if isinstance(shape, StructureShape):
        members = {name: of_shape(one, depth + 1) for name, one in shape.members.items()}
        needed = {name: members.pop(name) for name in shape.required_members}
        right: st.SearchStrategy[Any] = st.fixed_dictionaries(needed, optional=members)
    elif isinstance(shape, ListShape):
        right = st.lists(of_shape(shape.member, depth + 1), min_size=1, max_size=3)
    elif isinstance(shape, MapShape):
        right = st.dictionaries(st.text(max_size=5), of_shape(shape.value, depth + 1), max_size=2)
    elif isinstance(shape, StringShape):
        known = shape.enum or ["g", "s", "a", "1", "$.a", "{ $.a = 1 }", "p90", "Average"]
        right = st.sampled_from(known) | texts
    elif shape.type_name == "boolean":
        right = st.booleans()
    else:
        right = numbers | st.integers(0, 2000) | st.just(int(time.time()))
    return st.integers(0, 40).flatmap(lambda dice: trees if dice == 0 else right)


XRAY = (
    *("CreateGroup", "UpdateGroup", "GetGroup", "DeleteGroup", "GetSamplingTargets"),
    *("CreateSamplingRule", "UpdateSamplingRule", "DeleteSamplingRule", "GetTraceSummaries"),
    *("BatchGetTraces", "PutTelemetryRecords", "PutTraceSegments", "UpdateTraceSegmentDestination"),
)


@few
@given(data=st.data(), operation=st.sampled_from(XRAY))
def test_xrays_operations(sender: Sender, data: st.DataObject, operation: str) -> None:
    model = awsmodel.service("xray").operation_model(operation)

    ask = data.draw(of_shape(model.input_shape))

    sender.signed("xray", model.http["requestUri"], json.dumps(ask), JSON)


@pytest.mark.parametrize("time_", [1e308, -1, 67768036191676800, "2026-01-01", "x"])
def test_times_that_no_clock_has(sender: Sender, time_: Any) -> None:
    ask = json.dumps({"StartTime": time_, "EndTime": time_})

    answer = sender.signed("xray", "/TraceSummaries", ask, JSON)

    assert answer.json()["__type"] == "SerializationException"


def test_a_group_cannot_ask_for_itself(sender: Sender) -> None:
    for expression in ('group.name = "itself"', 'ok AND !(group.name = "a")'):
        ask = json.dumps({"GroupName": "itself", "FilterExpression": expression})

        answer = sender.signed("xray", "/CreateGroup", ask, JSON)

        assert answer.status_code == 400
        assert "group.name" in answer.json()["Message"]


OPERATIONS = (
    *("PutLogEvents", "StartQuery", "GetQueryResults", "PutQueryDefinition", "PutMetricFilter"),
    *("DescribeQueryDefinitions", "PutRetentionPolicy", "CreateLogGroup", "FilterLogEvents"),
    *("PutMetricData", "DescribeAlarms", "PutInsightRule", "GetInsightRuleReport"),
    *("PutMetricAlarm", "GetMetricData", "GetMetricStatistics", "ListMetrics"),
)


@few
@given(data=st.data(), operation=st.sampled_from(OPERATIONS))
def test_the_operations_of_cloudwatch(sender: Sender, data: st.DataObject, operation: str) -> None:
    logs = awsmodel.service("logs")
    model = logs if operation in logs.operation_names else awsmodel.service("cloudwatch")

    sender.aws(operation, data.draw(of_shape(model.operation_model(operation).input_shape)))


@quick
@given(
    action=st.sampled_from(["GetCallerIdentity", "CreateStack", "ListStacks", "\ud800"]) | texts,
    template=trees.map(json.dumps)
    | texts
    | st.dictionaries(st.sampled_from(["Resources", "Parameters", "Outputs"]), trees).map(
        json.dumps
    ),
    service=st.sampled_from(["sts", "cloudformation", "monitoring"]),
)
@example(action="CreateStack", template='{"Resources": {"a": 88}}', service="cloudformation")
def test_the_query_protocol(sender: Sender, action: str, template: str, service: str) -> None:
    form = {"Action": action, "Version": "2010-05-15", "StackName": "s", "TemplateBody": template}
    body = urlencode(form, errors="replace")

    sender.signed("aws", "/", body, {"Content-Type": "application/x-www-form-urlencoded"}, service)


@pytest.fixture(scope="module")
def group(sender: Sender) -> str:
    """A log group with the stream `s`, and metric filters of every kind."""
    name = f"fuzz-{time.time_ns()}"
    sender.aws("CreateLogGroup", {"logGroupName": name})
    sender.aws("CreateLogStream", {"logGroupName": name, "logStreamName": "s"})
    metric = {"metricName": "m", "metricNamespace": "n"}
    for pattern, change in (
        ("{ $.a = * }", {"metricValue": "$.a"}),
        ("{ $.a = %x.*y% }", {"metricValue": "$.b", "dimensions": {"b": "$.b"}}),
        ("{ $.a > 1 || $.b[0] IS NULL }", {"metricValue": "1", "defaultValue": 0}),
        ("?x ?y -z", {"metricValue": "$.a"}),
    ):
        ask = {
            "logGroupName": name,
            "filterName": f"f{len(pattern)}",
            "filterPattern": pattern,
            "metricTransformations": [{**metric, **change}],
        }
        assert sender.aws("PutMetricFilter", ask).status_code == 200
    return name


directives = st.just([{"Namespace": "n", "Dimensions": [["d"], []], "Metrics": [{"Name": "m"}]}])
emf = st.fixed_dictionaries(
    {
        "_aws": st.fixed_dictionaries(
            {"Timestamp": st.just(1) | numbers, "CloudWatchMetrics": directives | trees}
        ),
        "m": numbers | st.fixed_dictionaries({"Values": st.lists(numbers), "Counts": st.just([1])}),
        "d": st.just("x") | texts,
    }
)
members = st.fixed_dictionaries(
    {}, optional={"a": trees, "b": trees, "@timestamp": numbers | texts, "trace_id": st.just(TRACE)}
)
QUERIES = (
    "fields @timestamp, a | sort a desc | limit 5",
    "stats sum(a), avg(a), max(a), min(b), pct(a, 90) by b, bin(5m)",
    "filter a > 1 and not b like /x+y/ | dedup a",
    "fields substr(a, 1, 2), abs(a) as c, concat(a, b) | filter c in [1, 2] or ispresent(b)",
    "fields a * b + a / b % a - 1 as @timestamp",
    "stats max(@timestamp) as @timestamp, count_distinct(a) by bin(1h) | sort @timestamp",
    "fields a as @timestamp | stats latest(a) by bin(1m)",
)


@quick
@given(
    message=(emf | members | trees).map(json.dumps)
    | texts
    | deep.map(lambda nested: f'{{"trace_id": "{TRACE}", "a": {nested}}}'),
    query=st.sampled_from(QUERIES),
)
@example(message=json.dumps({"a": 10**400}), query="stats sum(a)")
@example(message='{"a": NaN}', query="sort a")
@example(message='{"@timestamp": "x"}', query="sort a")
@example(message='{"a": "NaN"}', query="sort a")
@example(
    message='{"_aws": {"Timestamp": 100000000000000000000, "CloudWatchMetrics": [{"Namespace": "n",'
    ' "Metrics": [{"Name": "m"}]}]}, "m": 1}',
    query="limit 1",
)
def test_log_events(sender: Sender, group: str, message: str, query: str) -> None:
    now = int(time.time() * 1000)
    event = {"timestamp": now, "message": message}
    ask = {"logGroupName": group, "logStreamName": "s", "logEvents": [event]}

    put = sender.aws("PutLogEvents", ask)

    assert put.ok is (message != "")
    search = {"logGroupName": group, "startTime": 0, "endTime": now, "queryString": query}
    assert sender.aws("StartQuery", search).ok
    sender.aws("DescribeAlarms", {})
    assert bool(sender.shown("aws")) is (f'"trace_id": "{TRACE}"' in message)


def test_a_member_named_as_a_field_of_its_event_does_not_take_its_place(
    sender: Sender, group: str
) -> None:
    now = int(time.time() * 1000)
    messages = ('{"@timestamp": "x", "@message": 1, "a": 1}', '{"@timestamp": null, "a": 2}')
    events = [{"timestamp": now, "message": message} for message in messages]
    ask = {"logGroupName": group, "logStreamName": "s", "logEvents": events}
    assert sender.aws("PutLogEvents", ask).ok

    query = "fields @message | sort a"
    search = {"logGroupName": group, "startTime": 0, "endTime": now, "queryString": query}
    query_id = sender.aws("StartQuery", search).json()["queryId"]

    rows = sender.aws("GetQueryResults", {"queryId": query_id}).json()["results"]
    assert [row[0]["value"] for row in rows] == list(messages)
    sender.shown("aws")


ITEM: dict[str, Any] = {"environment": "x", "body": {"message": {"body": "m"}}}
PARTS = ("body", "level", "timestamp", "custom", "request", "person", "server", "uuid", "title")
CUSTOM = '{"data": {"environment": "x", "body": {"message": {"body": "m"}}, "custom": %s}}'


@quick
@given(
    body=trees.map(json.dumps)
    | texts
    | st.dictionaries(st.sampled_from(PARTS), trees).map(
        lambda parts: json.dumps({"data": {**ITEM, **parts}})
    )
    | deep.map(lambda nested: CUSTOM % f'{{"trace_id": "{TRACE}", "a": {nested}}}')
)
@example(body="null")
@example(body=CUSTOM % '{"a": 1e999}')
def test_rollbars_items(sender: Sender, body: str) -> None:
    headers = {**JSON, "X-Rollbar-Access-Token": RollbarSettings().token}

    answer = sender.send("rollbar", "/api/1/item/", body, headers)

    assert answer.json()["err"] == (0 if answer.ok else 1)
    assert not sender.shown("rollbar") or answer.ok


OTLP = (
    *("resource", "attributes", "key", "value", "stringValue", "intValue", "arrayValue", "values"),
    *("kvlistValue", "bytesValue", "doubleValue", "name", "kind", "status", "code", "events"),
    *("links", "startTimeUnixNano", "body", "severityNumber", "gauge", "sum", "histogram"),
    *("dataPoints", "asDouble", "exemplars", "explicitBounds", "bucketCounts", "\ud800"),
)
messages = st.recursive(
    st.none() | numbers | texts | st.just(TRACE),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(OTLP), inner, max_size=4)
    ),
    max_leaves=20,
)
KEYS = {
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
}
DEEP_ATTRIBUTE = '{"traceId": "%s", "spanId": "%s", "attributes": [{"key": "a", "value": %s}]}'


@quick
@given(
    vendor=st.sampled_from(["honeycomb", "otlp"]),
    signal=st.sampled_from(otlp.SIGNALS),
    one=messages.map(json.dumps)
    | st.dictionaries(st.sampled_from(OTLP), messages).map(
        lambda one: json.dumps({"traceId": TRACE, "spanId": SPAN, **one})
    )
    | deep.map(lambda nested: DEEP_ATTRIBUTE % (TRACE, SPAN, nested)),
    content=st.sampled_from(["application/json", "application/x-protobuf", "text/plain"]),
)
@example(vendor="honeycomb", signal="traces", one='{"\\ud800": 1}', content="application/json")
@example(vendor="otlp", signal="logs", one='{"traceId": "\\ud800"}', content="application/json")
def test_otlp(sender: Sender, vendor: str, signal: otlp.Signal, one: str, content: str) -> None:
    of_resource, of_scope, items = KEYS[signal]
    body = f'{{"{of_resource}": [{{"{of_scope}": [{{"{items}": [{one}]}}]}}]}}'
    headers = {"x-honeycomb-team": HoneycombSettings().key, "x-honeycomb-dataset": "d"}

    sender.send(vendor, f"/v1/{signal}", body, {**headers, "Content-Type": content})
    sender.send(vendor, f"/v1/{signal}", one, {**headers, "Content-Type": content})

    sender.shown(vendor)


@quick
@given(
    kind=st.sampled_from(["markers", "queries", "query_annotations"]),
    dataset=st.sampled_from(["__all__", "d", "%ff", "%00"]),
    body=trees.map(json.dumps)
    | deep
    | st.dictionaries(
        st.sampled_from(
            [
                *("message", "type", "start_time", "calculations", "filters", "breakdowns"),
                *("orders", "havings", "limit", "granularity", "time_range", "name", "query_id"),
            ]
        ),
        trees | st.just([{"op": "AVG", "column": "a", "value": math.nan, "calculate_op": "COUNT"}]),
    ).map(json.dumps),
)
def test_honeycombs_api(sender: Sender, kind: str, dataset: str, body: str) -> None:
    headers = {"x-honeycomb-team": HoneycombSettings().key}

    answer = sender.send("honeycomb", f"/1/{kind}/{dataset}", body, headers)

    if not answer.ok:
        assert answer.headers["Content-Type"] == "application/problem+json"
    listed = sender.send("honeycomb", f"/1/{kind}/{dataset}", "", headers, "GET")
    assert listed.status_code in (200, 405)


FAULT = ("seconds", "retry_after", "count", "duration", "share")
EXPECTATION = (
    *("name", "protocol", "path_prefix", "paths", "headers", "headers_by_signal", "sigv4"),
    *("refusal_status", "signals", "encodings", "compressions", "max_sent", "max_items"),
)


@quick
@given(
    path=st.sampled_from(["/faults/xray", "/reset", "/otlp/expectation", "/faults", "/holds/x"]),
    method=st.sampled_from(["POST", "PUT", "GET", "DELETE"]),
    body=trees.map(json.dumps)
    | deep
    | st.dictionaries(st.sampled_from(FAULT), trees).map(
        lambda fields: json.dumps({"mode": "clock", **fields})
    )
    | st.dictionaries(st.sampled_from(EXPECTATION), trees).map(json.dumps)
    | st.dictionaries(st.sampled_from(["vendor", "everything"]), trees).map(json.dumps),
)
def test_the_control_port(sender: Sender, path: str, method: str, body: str) -> None:
    answer = sender.send("control", path, body, {}, method)

    if not answer.ok:
        assert answer.json()["error"]
    for after in ("/faults", "/otlp/expectation", "/health"):
        assert sender.send("control", after, "", {}, "GET").ok
    sender.send("otlp", "/v1/traces", "{}", JSON)
    sender.send("control", "/faults", "", {}, "DELETE")
