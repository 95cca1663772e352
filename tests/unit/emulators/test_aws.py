"""CloudWatch Logs, CloudWatch, STS and CloudFormation by boto3."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulators.client import Client

DAY = 24 * 3600 * 1000


def now() -> int:
    return int(time.time() * 1000)


def put(logs: Any, group: str, *events: tuple[int, str]) -> dict[str, Any]:
    answer: dict[str, Any] = logs.put_log_events(
        logGroupName=group,
        logStreamName="backend-flask",
        logEvents=[{"timestamp": at, "message": message} for at, message in events],
    )
    return answer


def test_events_are_found_by_the_trace_id_in_their_message(
    aws: Callable[..., Any], emulators: Client, group: str, trace_id: str
) -> None:
    logs = aws("logs")
    message = json.dumps({"body": "it broke", "trace_id": trace_id})
    xray_form = json.dumps({"xray_trace_id": f"1-{trace_id[:8]}-{trace_id[8:]}"})

    put(logs, group, (now(), message), (now(), xray_form), (now(), "no trace"))

    read = logs.get_log_events(logGroupName=group, logStreamName="backend-flask")["events"]
    assert [one["message"] for one in read] == [message, xray_form, "no trace"]
    held = emulators.holds("aws", trace_id)["logs"]
    assert [one["message"] for one in held] == [message, xray_form]
    assert held[0]["parsed"]["body"] == "it broke"
    assert held[0]["group"] == group
    assert held[0]["stream"] == "backend-flask"


def test_old_and_future_events_are_rejected_inside_a_success(
    aws: Callable[..., Any], group: str
) -> None:
    logs = aws("logs")
    old = put(logs, group, (now() - 14 * DAY - 5000, "a"), (now() - 14 * DAY + 60_000, "b"))
    new = put(logs, group, (now(), "c"), (now() + 3 * 3600 * 1000, "d"))

    assert old["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    assert new["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    read = logs.get_log_events(logGroupName=group, logStreamName="backend-flask")["events"]
    assert [one["message"] for one in read] == ["b", "c"]


def test_events_past_the_groups_retention_are_expired(aws: Callable[..., Any], group: str) -> None:
    logs = aws("logs")
    logs.put_retention_policy(logGroupName=group, retentionInDays=3)
    answer = put(logs, group, (now() - 4 * DAY, "a"))
    assert answer["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([(now(), "b"), (now() - 1000, "a")], "chronological"),
        ([(now() - DAY - 5000, "a"), (now(), "b")], "24 hours"),
        ([(now(), "x" * 524_288)] * 2, "Upload too large"),
        ([(now(), "x")] * 10_001, "less than or equal to 10000"),
        ([(now(), "x" * 1_048_577)], "Log event too large"),
    ],
)
def test_a_batch_outside_the_limits_is_refused_whole(
    aws: Callable[..., Any], group: str, events: list[tuple[int, str]], why: str
) -> None:
    logs = aws("logs")
    with pytest.raises(logs.exceptions.InvalidParameterException, match=why):
        put(logs, group, *events)
    assert logs.get_log_events(logGroupName=group, logStreamName="backend-flask")["events"] == []


def test_a_batch_at_the_limit_is_taken(aws: Callable[..., Any], group: str) -> None:
    logs = aws("logs")
    half = "x" * (524_288 - 26)
    assert "rejectedLogEventsInfo" not in put(logs, group, (now(), half), (now(), half))
    assert "rejectedLogEventsInfo" not in put(logs, group, *[(now(), "x")] * 10_000)


def test_group_and_stream_must_exist(aws: Callable[..., Any], group: str) -> None:
    logs = aws("logs")
    with pytest.raises(logs.exceptions.ResourceNotFoundException, match="log group"):
        put(logs, "nowhere", (now(), "a"))
    with pytest.raises(logs.exceptions.ResourceNotFoundException, match="log stream"):
        logs.put_log_events(
            logGroupName=group,
            logStreamName="other",
            logEvents=[{"timestamp": now(), "message": "a"}],
        )
    with pytest.raises(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=group)


def test_only_documented_retentions_are_taken(aws: Callable[..., Any], group: str) -> None:
    logs = aws("logs")
    logs.put_retention_policy(logGroupName=group, retentionInDays=7)
    with pytest.raises(logs.exceptions.InvalidParameterException, match="8"):
        logs.put_retention_policy(logGroupName=group, retentionInDays=8)
    [found] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert found["retentionInDays"] == 7


@pytest.mark.parametrize(
    ("service", "call", "wrong_secret", "wrong_key"),
    [
        ("logs", "describe_log_groups", "InvalidSignatureException", "UnrecognizedClientException"),
        ("cloudwatch", "list_metrics", "InvalidSignatureException", "UnrecognizedClientException"),
        ("sts", "get_caller_identity", "SignatureDoesNotMatch", "InvalidClientTokenId"),
        ("cloudformation", "list_stacks", "SignatureDoesNotMatch", "InvalidClientTokenId"),
    ],
)
def test_only_the_known_key_gets_in(
    aws: Callable[..., Any], service: str, call: str, wrong_secret: str, wrong_key: str
) -> None:
    assert getattr(aws(service), call)()["ResponseMetadata"]["HTTPStatusCode"] == 200
    for who, code in (
        ({"secret": "wrong"}, wrong_secret),
        ({"key": "NOBODYSKEY012345"}, wrong_key),
    ):
        with pytest.raises(ClientError) as refused:
            getattr(aws(service, **who), call)()
        assert refused.value.response["Error"]["Code"] == code


def test_sts_says_who_calls(aws: Callable[..., Any]) -> None:
    assert aws("sts").get_caller_identity()["Account"] == "123456789012"


def emf(value: Any, **changes: Any) -> str:
    directive = {
        "Namespace": changes.pop("namespace", "cruddur"),
        "Dimensions": [["route"]],
        "Metrics": [{"Name": "duration", "Unit": "Milliseconds"}],
    }
    tree = {
        "_aws": {"Timestamp": now(), "CloudWatchMetrics": [directive]},
        "route": "/api/activities/home",
        "duration": value,
    }
    return json.dumps({**tree, **changes})


@pytest.mark.parametrize(
    ("value", "total", "count"),
    [
        (12.5, 12.5, 1),
        ([1, 2, 3], 6, 3),
        ({"Values": [1, 5], "Counts": [2, 1]}, 7, 3),
        ({"Sum": 9, "Min": 1, "Max": 5, "Count": 3}, 9, 3),
    ],
)
def test_embedded_metrics_become_metrics(  # noqa: PLR0917
    aws: Callable[..., Any], emulators: Client, group: str, value: Any, total: float, count: int
) -> None:
    namespace = f"cruddur-{secrets.token_hex(4)}"
    put(aws("logs"), group, (now(), emf(value, namespace=namespace)))

    [metric] = emulators.metrics(namespace=namespace)
    assert emulators.sums("aws")[f"{namespace}/duration/route/{metric['timestamp']}"] == total
    assert metric["dimensions"] == {"route": "/api/activities/home"}
    assert metric["unit"] == "Milliseconds"
    [point] = aws("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName="duration",
        Dimensions=[{"Name": "route", "Value": "/api/activities/home"}],
        StartTime=datetime.now(UTC) - timedelta(minutes=5),
        EndTime=datetime.now(UTC) + timedelta(minutes=5),
        Period=600,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    assert point["Sum"] == total
    assert point["SampleCount"] == count


def test_an_event_that_comes_twice_counts_twice(
    aws: Callable[..., Any], emulators: Client, group: str
) -> None:
    namespace = f"cruddur-{secrets.token_hex(4)}"
    event = (now(), emf(12.5, namespace=namespace))
    for _ in range(2):
        put(aws("logs"), group, event)

    mine = {
        name: total for name, total in emulators.sums("aws").items() if name.startswith(namespace)
    }
    assert list(mine.values()) == [25]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"route": None}, "dimension 'route'"),
        ({"duration": "12"}, "numeric"),
        ({"duration": [1] * 101}, "at most 100"),
        ({"duration": {"Values": [1], "Counts": [1, 2]}}, "differ in length"),
        ({"_aws": {"CloudWatchMetrics": []}}, "_aws.Timestamp"),
        ({"_aws": {"Timestamp": "now", "CloudWatchMetrics": []}}, "_aws.Timestamp"),
        ({"_aws": {"Timestamp": 1, "CloudWatchMetrics": [{"Metrics": []}]}}, "Namespace"),
    ],
)
def test_bad_embedded_metrics_stay_log_events_and_are_counted(
    aws: Callable[..., Any], emulators: Client, group: str, changes: dict[str, Any], why: str
) -> None:
    namespace = f"cruddur-{secrets.token_hex(4)}"
    before = emulators.counts()["aws"]["accepted"].get("emf_errors", 0)
    logs = aws("logs")

    put(logs, group, (now(), emf(**{"value": 1, "namespace": namespace, **changes})))

    assert emulators.metrics(namespace=namespace) == []
    assert emulators.counts()["aws"]["accepted"]["emf_errors"] == before + 1
    assert any(why in error for error in emulators.ids("aws", "emf_errors"))
    assert (
        len(logs.get_log_events(logGroupName=group, logStreamName="backend-flask")["events"]) == 1
    )


def test_put_metric_data_is_seen_too(aws: Callable[..., Any], emulators: Client) -> None:
    namespace = f"cruddur-{secrets.token_hex(4)}"
    aws("cloudwatch").put_metric_data(
        Namespace=namespace, MetricData=[{"MetricName": "m", "Value": 2.5}]
    )
    [metric] = emulators.metrics(namespace=namespace, name="m")
    assert metric["values"] == [[2.5, 1]]
    assert emulators.metrics(namespace=namespace, name="other") == []


def test_unknown_operations_and_bad_parameters_are_refused(aws: Callable[..., Any]) -> None:
    logs = aws("logs")
    with pytest.raises(logs.exceptions.InvalidParameterException):
        logs.create_log_group(logGroupName="x" * 513)


@pytest.mark.parametrize(
    ("mode", "service", "code", "status"),
    [
        ("400", "logs", "InvalidRequestException", 400),
        ("403", "logs", "AccessDeniedException", 400),
        ("429", "logs", "ThrottlingException", 400),
        ("500", "logs", "InternalFailure", 500),
        ("503", "logs", "ServiceUnavailable", 503),
        ("403", "sts", "AccessDenied", 403),
        ("429", "sts", "Throttling", 400),
        ("500", "sts", "InternalFailure", 500),
    ],
)
def test_faults_raise_what_the_real_ones_would(  # noqa: PLR0917
    aws: Callable[..., Any], emulators: Client, mode: Any, service: str, code: str, status: int
) -> None:
    call = {"logs": "describe_log_groups", "sts": "get_caller_identity"}[service]
    emulators.break_("aws", mode)
    with pytest.raises(ClientError) as failed:
        getattr(aws(service), call)()
    assert failed.value.response["Error"]["Code"] == code
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_told_to_reject_part(aws: Callable[..., Any], emulators: Client, group: str) -> None:
    emulators.break_("aws", "partial", share=0.5)
    logs = aws("logs")
    answer = put(logs, group, *((now(), f"{number}") for number in range(4)))
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 2}
    read = logs.get_log_events(logGroupName=group, logStreamName="backend-flask")["events"]
    assert [one["message"] for one in read] == ["2", "3"]
