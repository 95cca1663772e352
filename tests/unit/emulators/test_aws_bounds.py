"""What moto alone would let through, or keep for ever."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.cloudwatch.models import MetricDatum, cloudwatch_backends
from moto.logs.models import LogEvent

from emulators.aws.settings import Settings
from emulators.client import Client
from emulators.cloudwatch import backend
from emulators.core.settings import Settings as CoreSettings
from emulators.inprocess import running
from tests.unit.emulators import otlp_data

SETTINGS = Settings()


def send(
    emulators: Client, service: str, headers: dict[str, str], body: bytes, path: str = "/"
) -> requests.Response:
    """A signed request as no client of AWS would send it."""
    url = f"{emulators.address('aws')}{path}"
    request = AWSRequest("POST", url, data=body, headers=headers)
    credentials = Credentials(SETTINGS.access_key_id, SETTINGS.secret_access_key)
    SigV4Auth(credentials, service, "us-east-1").add_auth(request)
    return requests.post(url, data=body, headers=dict(request.headers.items()), timeout=60)


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("service", "headers", "body", "code"),
    [
        ("logs", {"X-Amz-Target": "Logs_20140328.Explode"}, b"{}", "UnknownOperationException"),
        ("logs", {"X-Amz-Target": "Other.PutLogEvents"}, b"{}", "UnknownOperationException"),
        ("logs", {"X-Amz-Target": "Logs_20140328.PutLogEvents"}, b"[", "SerializationException"),
        ("logs", {"X-Amz-Target": "Logs_20140328.PutLogEvents"}, b"[]", "SerializationException"),
        ("logs", {"X-Amz-Target": "Logs_20140328.PutLogEvents"}, b"{}", "InvalidParameter"),
        ("logs", {"X-Amz-Target": "Logs_20140328.CreateLogGroup"}, b"{}", "InvalidParameter"),
        ("sts", {"X-Amz-Target": "Logs_20140328.CreateLogGroup"}, b"{}", "InvalidSignature"),
        ("sts", FORM, b"Action=Explode", "InvalidAction"),
        ("sts", FORM, b"", "InvalidAction"),
    ],
)
def test_what_no_client_would_send_is_refused(
    emulators: Client, service: str, headers: dict[str, str], body: bytes, code: str
) -> None:
    answer = send(emulators, service, headers, body)
    assert answer.status_code in (400, 403)
    assert code in answer.text


def test_the_logs_endpoint_needs_a_stream_that_exists(
    aws: Callable[..., Any], emulators: Client, trace_id: str
) -> None:
    name = f"otlp-{secrets.token_hex(4)}"
    body = otlp_data.logs(trace_id)

    def export(**headers: str) -> requests.Response:
        named = {f"x-aws-log-{key}": value for key, value in headers.items()}
        sent = {"Content-Type": "application/x-protobuf", **named}
        return send(emulators, "logs", sent, body, path="/v1/logs")

    assert b"headers are needed" in export(group=name).content
    assert b"log group does not exist" in export(group=name, stream="s").content
    aws("logs").create_log_group(logGroupName=name)
    assert b"log stream does not exist" in export(group=name, stream="s").content
    aws("logs").create_log_stream(logGroupName=name, logStreamName="s")
    assert export(group=name, stream="s").ok
    assert len(emulators.holds("aws", trace_id)["logs"]) == 1
    unsigned = {"Content-Type": "application/x-protobuf"}
    url = f"{emulators.address('aws')}/v1/logs"
    assert requests.post(url, data=body, headers=unsigned, timeout=60).status_code == 403


def tracked(model: Any) -> list[object]:
    """What moto remembers of a model's objects, for ever if it is let."""
    found: list[object] = model.instances_tracked
    return found


def test_moto_holds_no_more_than_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "MAX_DATA_POINTS", 15)
    group = f"bounds-{secrets.token_hex(4)}"
    with running(CoreSettings(max_items=10)) as client:
        where: dict[str, Any] = {
            "endpoint_url": client.address("aws"),
            "region_name": "me-south-1",
            "aws_access_key_id": SETTINGS.access_key_id,
            "aws_secret_access_key": SETTINGS.secret_access_key,
        }
        logs, cloudwatch = boto3.client("logs", **where), boto3.client("cloudwatch", **where)
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName="s")
        for number in range(20):
            logs.put_log_events(
                logGroupName=group,
                logStreamName="s",
                logEvents=[{"timestamp": int(time.time() * 1000), "message": str(number)}],
            )
        held = logs.get_log_events(logGroupName=group, logStreamName="s")["events"]
        for _ in range(20):
            cloudwatch.put_metric_data(
                Namespace=group, MetricData=[{"MetricName": "m", "Value": 1}]
            )
        points = cloudwatch_backends["123456789012"]["me-south-1"].metric_data

    assert [one["message"] for one in held] == [str(number) for number in range(10, 20)]
    assert len(points) == 15
    assert [*tracked(LogEvent), *tracked(MetricDatum)] == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"Metrics": [{"Name": "m"}, {"Name": "m"}]}, "named twice"),
        ({"Metrics": [{"Name": "m", "Unit": "{request}"}]}, "'{request}' at 'StandardUnit'"),
        ({"Metrics": [{"Name": "m", "Unit": "ms"}]}, "Milliseconds"),
        ({"Namespace": ":a"}, "':a' at 'Namespace'"),
    ],
)
def test_metrics_in_log_events_that_cloudwatch_does_not_take(
    aws: Callable[..., Any], emulators: Client, change: dict[str, Any], why: str
) -> None:
    logs, name = aws("logs"), f"emf-{secrets.token_hex(4)}"
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    directive = {"Namespace": name, "Metrics": [{"Name": "m"}], **change}
    metadata = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    event = {
        "timestamp": int(time.time() * 1000),
        "message": json.dumps({"_aws": metadata, "m": 1}),
    }
    logs.put_log_events(logGroupName=name, logStreamName="s", logEvents=[event])
    assert emulators.metrics(namespace=name) == []
    assert any(why in error for error in emulators.ids("aws", "emf_errors"))
