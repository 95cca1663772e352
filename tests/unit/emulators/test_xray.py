"""X-Ray by boto3: what goes in comes out, and what AWS refuses is refused."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from emulators.aws.settings import Settings
from emulators.client import Client
from emulators.xray.sampling import RuleError, Sampling
from emulators.xray.segments import xray_trace_id
from tests.unit.emulators import otlp_data

SETTINGS = Settings()


def segment(trace_id: str, /, **changes: Any) -> dict[str, Any]:
    now = time.time()
    document = {
        "name": "backend-flask",
        "id": secrets.token_hex(8),
        "trace_id": xray_trace_id(trace_id),
        "start_time": now - 0.2,
        "end_time": now,
        "http": {
            "request": {"method": "GET", "url": "http://127.0.0.1/api/activities/home"},
            "response": {"status": 200},
        },
        "annotations": {"app_result_length": 3, "route": "/api/activities/home"},
    }
    return {**document, **changes}


def put(xray: Any, *documents: dict[str, Any] | str) -> list[dict[str, str]]:
    answer = xray.put_trace_segments(
        TraceSegmentDocuments=[
            one if isinstance(one, str) else json.dumps(one) for one in documents
        ],
    )
    unprocessed: list[dict[str, str]] = answer["UnprocessedTraceSegments"]
    return unprocessed


def test_a_segment_is_found_by_either_form_of_its_trace_id(
    aws: Callable[..., Any],
    emulators: Client,
    trace_id: str,
) -> None:
    xray = aws("xray")
    document = segment(trace_id)

    assert put(xray, document) == []

    traces = xray.batch_get_traces(TraceIds=[xray_trace_id(trace_id)])["Traces"]
    assert [one["Id"] for one in traces] == [xray_trace_id(trace_id)]
    assert json.loads(traces[0]["Segments"][0]["Document"]) == document
    assert traces[0]["Duration"] == pytest.approx(0.2, abs=0.001)
    assert emulators.holds("xray", trace_id) == {"traces": [document]}
    assert emulators.holds("xray", xray_trace_id(trace_id)) == {"traces": [document]}
    assert emulators.ids("xray")[f"{trace_id}:{document['id']}"] == 1


def test_a_subsegment_may_come_by_itself(aws: Callable[..., Any], trace_id: str) -> None:
    xray = aws("xray")
    parent = segment(trace_id)
    child = segment(
        trace_id,
        name="profiles-flask",
        type="subsegment",
        parent_id=parent["id"],
        namespace="remote",
    )

    assert put(xray, parent, child) == []
    assert [one["Id"] for one in put(xray, segment(trace_id, type="subsegment", id="a" * 16))] == [
        "a" * 16,
    ]


def test_the_finished_segment_takes_the_place_of_its_unfinished_self(
    aws: Callable[..., Any],
    trace_id: str,
) -> None:
    xray = aws("xray")
    finished = segment(trace_id)
    unfinished = {key: one for key, one in finished.items() if key != "end_time"}

    assert put(xray, {**unfinished, "in_progress": True}, finished) == []

    [trace] = xray.batch_get_traces(TraceIds=[xray_trace_id(trace_id)])["Traces"]
    assert [json.loads(one["Document"]) for one in trace["Segments"]] == [finished]


@pytest.mark.parametrize(
    ("changes", "code", "where"),
    [
        ({"id": "xyz"}, "InvalidParameter", "id"),
        ({"name": "no <tags>"}, "InvalidParameter", "name"),
        ({"name": "x" * 201}, "InvalidParameter", "name"),
        ({"trace_id": "1-1234-5678"}, "InvalidParameter", "trace_id"),
        ({"start_time": "yesterday"}, "InvalidParameter", "start_time"),
        ({"end_time": 1.0}, "InvalidParameter", "end_time is before"),
        ({"end_time": None}, "InvalidParameter", "in_progress"),
        ({"in_progress": True}, "InvalidParameter", "exclude each other"),
        ({"annotations": {"a key": 1}}, "InvalidParameter", "annotations"),
        ({"annotations": {"a": [1]}}, "InvalidParameter", "annotations"),
        ({"http": {"response": {"status": "200"}}}, "InvalidParameter", "http.response.status"),
        ({"type": "subsegment"}, "MissingParameter", "parent_id"),
        ({"subsegments": [{"name": "x"}]}, "MissingParameter", "subsegments.0.id"),
        ({"metadata": {"big": "x" * 65_536}}, "SegmentTooLarge", "65536"),
    ],
)
def test_a_bad_document_is_named_and_its_neighbours_are_kept(  # noqa: PLR0917
    aws: Callable[..., Any],
    emulators: Client,
    trace_id: str,
    changes: dict[str, Any],
    code: str,
    where: str,
) -> None:
    good = segment(trace_id)

    [unprocessed] = put(aws("xray"), good, segment(trace_id, **changes))

    assert unprocessed["ErrorCode"] == code
    assert where in unprocessed["Message"]
    assert emulators.holds("xray", trace_id) == {"traces": [good]}


def test_a_document_that_is_no_json_is_unprocessed(aws: Callable[..., Any]) -> None:
    assert [one["ErrorCode"] for one in put(aws("xray"), "{", "[]", "[" * 30_000)] == [
        "JSONFormatError",
    ] * 3


def test_more_than_50_documents_are_refused(aws: Callable[..., Any], trace_id: str) -> None:
    xray = aws("xray")
    assert put(xray, *(segment(trace_id) for _ in range(50))) == []
    with pytest.raises(xray.exceptions.InvalidRequestException, match="limit 50"):
        put(xray, *(segment(trace_id) for _ in range(51)))


@pytest.mark.parametrize(
    ("who", "code"),
    [
        ({"secret": "wrong"}, "InvalidSignatureException"),
        ({"key": "SOMEBODYELSESKEY"}, "UnrecognizedClientException"),
    ],
)
def test_only_the_known_key_gets_in(
    aws: Callable[..., Any],
    emulators: Client,
    trace_id: str,
    who: dict[str, str],
    code: str,
) -> None:
    with pytest.raises(ClientError) as refused:
        put(aws("xray", **who), segment(trace_id))

    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert emulators.holds("xray", trace_id) == {}


def test_traces_are_found_by_service_and_annotation(
    aws: Callable[..., Any],
    trace_id: str,
) -> None:
    xray = aws("xray")
    token = secrets.token_hex(4)
    put(
        xray,
        segment(
            trace_id,
            annotations={"token": token, "n": 3},
            fault=True,
            user="ada",
            http={"request": {"method": "GET"}, "response": {"status": 500}},
        ),
    )

    def found(expression: str) -> list[Any]:
        answer = xray.get_trace_summaries(
            StartTime=time.time() - 60,
            EndTime=time.time() + 60,
            FilterExpression=f'annotation.token = "{token}" AND ({expression})',
        )
        summaries: list[Any] = answer["TraceSummaries"]
        return summaries

    [summary] = found('service("backend-flask")')
    assert summary["Id"] == xray_trace_id(trace_id)
    assert summary["HasFault"]
    assert summary["Http"] == {"HttpMethod": "GET", "HttpStatus": 500}
    assert summary["Annotations"]["n"] == [{"AnnotationValue": {"NumberValue": 3.0}}]
    assert summary["Users"] == [{"UserName": "ada"}]
    for yes in (
        "fault",
        "!ok",
        "http.status >= 500",
        'user = "ada"',
        "annotation[n] = 3",
        'service("backend-flask") { fault }',
        "responsetime > 0.1 AND duration < 10",
        'user BEGINSWITH "a" OR error',
    ):
        assert len(found(yes)) == 1, yes
    for no in ("ok", "throttle", 'service("other")', "http.status = 200", "annotation.n = 4"):
        assert found(no) == [], no


@pytest.mark.parametrize(
    "expression",
    ['edge("a", "b")', "service(", 'colour = "red"', "http.status", 'http.status = "x"', "a b"],
)
def test_an_unknown_filter_is_an_error_not_an_empty_answer(
    aws: Callable[..., Any],
    expression: str,
) -> None:
    xray = aws("xray")
    with pytest.raises(xray.exceptions.InvalidRequestException):
        xray.get_trace_summaries(
            StartTime=time.time() - 60,
            EndTime=time.time(),
            FilterExpression=expression,
        )


def test_groups_are_created_changed_and_deleted(aws: Callable[..., Any]) -> None:
    xray = aws("xray", region="eu-west-1")
    name = secrets.token_hex(8)

    created = xray.create_group(GroupName=name, FilterExpression='service("backend-flask")')
    assert created["Group"]["GroupARN"].startswith("arn:aws:xray:eu-west-1:123456789012:group/")
    with pytest.raises(xray.exceptions.InvalidRequestException, match="already exists"):
        xray.create_group(GroupName=name, FilterExpression="ok")
    with pytest.raises(xray.exceptions.InvalidRequestException, match="filter"):
        xray.update_group(GroupName=name, FilterExpression="nonsense(")
    xray.update_group(GroupName=name, FilterExpression='service("other")')
    assert xray.get_group(GroupName=name)["Group"]["FilterExpression"] == 'service("other")'
    assert name in {one["GroupName"] for one in xray.get_groups()["Groups"]}
    assert name not in {one["GroupName"] for one in aws("xray").get_groups()["Groups"]}
    xray.delete_group(GroupName=name)
    with pytest.raises(xray.exceptions.InvalidRequestException, match="not found"):
        xray.get_group(GroupName=name)


def test_a_group_finds_its_traces(aws: Callable[..., Any], trace_id: str) -> None:
    xray = aws("xray")
    name = secrets.token_hex(8)
    put(xray, segment(trace_id, name=f"service-{name}"))
    xray.create_group(GroupName=name, FilterExpression=f'service("service-{name}")')

    found = xray.get_trace_summaries(
        StartTime=time.time() - 60,
        EndTime=time.time() + 1,
        FilterExpression=f'group.name = "{name}"',
    )["TraceSummaries"]

    assert [one["Id"] for one in found] == [xray_trace_id(trace_id)]


def rule(name: str, /, **changes: Any) -> dict[str, Any]:
    fields = {
        "RuleName": name,
        "ResourceARN": "*",
        "Priority": 9000,
        "FixedRate": 0.1,
        "ReservoirSize": 5,
        "ServiceName": "backend-flask",
        "ServiceType": "*",
        "Host": "*",
        "HTTPMethod": "*",
        "URLPath": "*",
        "Version": 1,
    }
    return {**fields, **changes}


def test_rules_are_created_changed_and_deleted(aws: Callable[..., Any]) -> None:
    xray = aws("xray", region="eu-west-2")
    name = secrets.token_hex(8)

    def rules() -> dict[str, Any]:
        records = xray.get_sampling_rules()["SamplingRuleRecords"]
        return {one["SamplingRule"]["RuleName"]: one["SamplingRule"] for one in records}

    assert rules()["Default"]["FixedRate"] == 0.05
    xray.create_sampling_rule(SamplingRule=rule(name))
    with pytest.raises(xray.exceptions.InvalidRequestException, match="already exists"):
        xray.create_sampling_rule(SamplingRule=rule(name))
    assert rules()[name]["ReservoirSize"] == 5
    assert list(rules())[-1] == "Default"
    xray.update_sampling_rule(SamplingRuleUpdate={"RuleName": name, "FixedRate": 0.5})
    assert rules()[name]["FixedRate"] == 0.5
    assert rules()[name]["ReservoirSize"] == 5
    xray.delete_sampling_rule(RuleName=name)
    assert name not in rules()
    xray.update_sampling_rule(SamplingRuleUpdate={"RuleName": "Default", "FixedRate": 0.01})
    with pytest.raises(xray.exceptions.InvalidRequestException, match="Default"):
        xray.update_sampling_rule(SamplingRuleUpdate={"RuleName": "Default", "Host": "x"})
    with pytest.raises(xray.exceptions.InvalidRequestException, match="Default"):
        xray.delete_sampling_rule(RuleName="Default")


def test_no_more_than_25_rules(aws: Callable[..., Any]) -> None:
    xray = aws("xray", region="eu-west-3")
    for number in range(25):
        xray.create_sampling_rule(SamplingRule=rule(f"rule-{number}"))
    with pytest.raises(xray.exceptions.RuleLimitExceededException):
        xray.create_sampling_rule(SamplingRule=rule("one-too-many"))


@pytest.mark.parametrize(
    "changes",
    [{"Priority": 9_999_9}, {"FixedRate": 1.5}, {"RuleName": "x" * 33}, {"Version": 2}],
)
def test_a_rule_out_of_range_is_refused(
    aws: Callable[..., Any],
    changes: dict[str, Any],
) -> None:
    xray = aws("xray")
    with pytest.raises(xray.exceptions.InvalidRequestException):
        xray.create_sampling_rule(SamplingRule=rule("bad", **changes))


def statistics(name: str, client: str, requests: int = 10) -> dict[str, Any]:
    return {
        "RuleName": name,
        "ClientID": client,
        "Timestamp": time.time(),
        "RequestCount": requests,
        "SampledCount": 1,
        "BorrowCount": 0,
    }


def test_clients_with_traffic_share_the_reservoir(aws: Callable[..., Any]) -> None:
    xray = aws("xray", region="ap-south-1")
    name = secrets.token_hex(8)
    xray.create_sampling_rule(SamplingRule=rule(name, ReservoirSize=5))
    one, two, idle = (secrets.token_hex(12) for _ in range(3))

    def quota(client: str, requests: int = 10) -> int | None:
        answer = xray.get_sampling_targets(
            SamplingStatisticsDocuments=[statistics(name, client, requests)],
        )
        [target] = answer["SamplingTargetDocuments"]
        assert target["FixedRate"] == 0.1
        assert target["Interval"] == 10
        found: int | None = target.get("ReservoirQuota")
        return found

    assert quota(one) == 5
    assert quota(two) == 2
    assert quota(one) == 3
    assert quota(idle, requests=0) is None
    summaries = xray.get_sampling_statistic_summaries()["SamplingStatisticSummaries"]
    assert sum(seen["RequestCount"] for seen in summaries if seen["RuleName"] == name) == 30


def test_an_unknown_rule_is_reported_back(aws: Callable[..., Any]) -> None:
    answer = aws("xray").get_sampling_targets(
        SamplingStatisticsDocuments=[statistics("nobody", secrets.token_hex(12))],
    )
    assert [one["RuleName"] for one in answer["UnprocessedStatistics"]] == ["nobody"]


def test_telemetry_records_are_counted(aws: Callable[..., Any], emulators: Client) -> None:
    before = emulators.counts()["xray"]["accepted"].get("telemetry", 0)
    aws("xray").put_telemetry_records(
        TelemetryRecords=[{"Timestamp": time.time(), "SegmentsReceivedCount": 3}],
    )
    assert emulators.counts()["xray"]["accepted"]["telemetry"] == before + 1


def test_an_operation_that_is_not_played_is_refused_by_name(aws: Callable[..., Any]) -> None:
    with pytest.raises(ClientError, match="GetServiceGraph is not played"):
        aws("xray").get_service_graph(StartTime=time.time() - 1, EndTime=time.time())


@pytest.mark.parametrize(
    ("mode", "code", "status"),
    [
        ("400", "InvalidRequestException", 400),
        ("403", "AccessDeniedException", 403),
        ("429", "ThrottledException", 429),
        ("500", "InternalFailure", 500),
        ("503", "ServiceUnavailable", 503),
    ],
)
def test_faults_raise_what_the_real_ones_would(  # noqa: PLR0917
    aws: Callable[..., Any],
    emulators: Client,
    trace_id: str,
    mode: Any,
    code: str,
    status: int,
) -> None:
    emulators.break_("xray", mode)
    with pytest.raises(ClientError) as failed:
        put(aws("xray"), segment(trace_id))
    assert failed.value.response["Error"]["Code"] == code
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert emulators.holds("xray", trace_id) == {}
    emulators.heal("xray")
    assert put(aws("xray"), segment(trace_id)) == []


def test_told_to_leave_segments_unprocessed(
    aws: Callable[..., Any],
    emulators: Client,
    trace_id: str,
) -> None:
    emulators.break_("xray", "unprocessed", share=0.5)
    unprocessed = put(aws("xray"), *(segment(trace_id) for _ in range(4)))
    assert len(unprocessed) == 2
    assert len(emulators.holds("xray", trace_id)["traces"]) == 2


def test_the_limits_of_reading_are_kept(aws: Callable[..., Any], trace_id: str) -> None:
    xray = aws("xray")
    refused = pytest.raises(xray.exceptions.InvalidRequestException)
    with refused:
        xray.batch_get_traces(TraceIds=[xray_trace_id(trace_id)] * 6)
    with refused:
        xray.get_trace_summaries(StartTime=time.time() - 7 * 3600, EndTime=time.time())
    with refused:
        xray.get_trace_summaries(StartTime=time.time(), EndTime=time.time() - 1)
    with refused:
        documents = [statistics("Default", secrets.token_hex(12)) for _ in range(26)]
        xray.get_sampling_targets(SamplingStatisticsDocuments=documents)
    answer = xray.batch_get_traces(TraceIds=[trace_id, xray_trace_id(trace_id)])
    assert answer["Traces"] == []
    assert answer["UnprocessedTraceIds"] == [trace_id]


def test_groups_have_names_in_bounds_and_are_at_most_25(aws: Callable[..., Any]) -> None:
    xray = aws("xray", region="eu-north-1")
    refused = pytest.raises(xray.exceptions.InvalidRequestException)
    for name in ("Default", "x" * 33):
        with refused:
            xray.create_group(GroupName=name)
    for number in range(25):
        xray.create_group(GroupName=f"group-{number}")
    with refused:
        xray.create_group(GroupName="one-too-many")


def test_a_client_that_fell_silent_loses_its_share() -> None:
    now = 1000.0
    sampling = Sampling("arn:aws:xray:r:1", now=lambda: now)
    sampling.create(rule("r", ReservoirSize=4))
    one, two = "1" * 24, "2" * 24

    def quota(client: str) -> int:
        [target] = sampling.targets([statistics("r", client)])["SamplingTargetDocuments"]
        found: int = target["ReservoirQuota"]
        assert target["ReservoirQuotaTTL"] == now + 10
        return found

    assert [quota(one), quota(two), quota(one)] == [4, 2, 2]
    now += 31
    assert quota(one) == 4


def test_otlp_needs_transaction_search_and_a_signature(
    aws: Callable[..., Any], emulators: Client, trace_id: str
) -> None:
    url = f"{emulators.address('xray')}/v1/traces"

    def export(region: str, body: bytes) -> requests.Response:
        request = AWSRequest("POST", url, data=body)
        request.headers["Content-Type"] = "application/x-protobuf"
        credentials = Credentials(SETTINGS.access_key_id, SETTINGS.secret_access_key)
        SigV4Auth(credentials, "xray", region).add_auth(request)
        return requests.post(url, data=body, headers=dict(request.headers.items()), timeout=60)

    body = otlp_data.traces(trace_id)
    unsigned = requests.post(
        url, data=body, headers={"Content-Type": "application/x-protobuf"}, timeout=60
    )
    assert unsigned.status_code == 403
    off = export("us-west-2", body)
    assert off.status_code == 400
    assert b"Trace Segment Destination" in off.content
    aws("xray", region="us-west-2").update_trace_segment_destination(Destination="CloudWatchLogs")
    assert export("us-west-2", body).ok
    assert len(emulators.holds("xray", trace_id)["traces"]) == 1
    assert export("us-west-2", otlp_data.traces(trace_id, service="x" * 10)).ok
    big = ExportTraceServiceRequest.FromString(body)
    big.resource_spans[0].scope_spans[0].spans[0].name = "x" * 204_801
    assert b"limit 204800" in export("us-west-2", big.SerializeToString()).content
    many = export("us-west-2", otlp_data.traces(trace_id, count=10_001))
    assert b"10001 items" in many.content


@pytest.mark.parametrize(
    "changes",
    [
        {"Priority": 0},
        {"FixedRate": 1.5},
        {"ReservoirSize": -1},
        {"RuleName": "x" * 33},
        {"ServiceName": "x" * 65},
        {"Version": 2},
    ],
)
def test_a_rule_from_a_template_is_checked_too(changes: dict[str, Any]) -> None:
    # CloudFormation comes this way, past AWS's model of the API.
    sampling = Sampling("arn:aws:xray:r:1")
    with pytest.raises(RuleError):
        sampling.create(rule("r", **changes))
    sampling.create(rule("r"))
    with pytest.raises(RuleError):
        sampling.update({**rule("r", **changes), "RuleName": "r", "ServiceType": "x" * 65})
