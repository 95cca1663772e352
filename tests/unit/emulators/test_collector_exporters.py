"""The collector's real exporters against the emulators: each must be taken as it is."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from emulators.aws.settings import Settings
from emulators.client import Client
from emulators.inprocess import running
from emulators.xray.segments import xray_trace_id
from tests.ports import free_ports
from tests.unit.emulators import otlp_data

pytestmark = pytest.mark.collector

COLLECTOR = Path(__file__).parents[3] / ".run/bin/otelcol"
SETTINGS = Settings()
PROTOBUF = {"Content-Type": "application/x-protobuf"}
SECONDS = 60
"""For what takes less than one on a machine that is not busy."""

CONFIG = """
receivers:
  otlp:
    protocols:
      http: {{endpoint: "127.0.0.1:{own}"}}
extensions:
  sigv4auth/xray: {{region: us-east-1, service: xray}}
  sigv4auth/logs: {{region: us-east-1, service: logs}}
  sigv4auth/metrics: {{region: us-east-1, service: monitoring}}
processors:
  cumulative_to_delta:
exporters:
  otlp_http/honeycomb:
    endpoint: http://127.0.0.1:{honeycomb}
    timeout: {patient}
    compression: zstd
    headers: {{x-honeycomb-team: local-honeycomb-key, x-honeycomb-dataset: metrics}}
  otlp_http/json:
    endpoint: http://127.0.0.1:{otlp}
    timeout: {patient}
    encoding: json
  otlp_grpc:
    endpoint: 127.0.0.1:{otlp_grpc}
    timeout: {patient}
    tls: {{insecure: true}}
  otlp_http/xray:
    endpoint: http://127.0.0.1:{xray}
    timeout: {patient}
    auth: {{authenticator: sigv4auth/xray}}
  otlp_http/cloudwatch_logs:
    logs_endpoint: http://127.0.0.1:{aws}/v1/logs
    timeout: {patient}
    auth: {{authenticator: sigv4auth/logs}}
    headers: {{x-aws-log-group: otlp, x-aws-log-stream: backend}}
  otlp_http/cloudwatch_metrics:
    metrics_endpoint: http://127.0.0.1:{aws}/v1/metrics
    timeout: {patient}
    auth: {{authenticator: sigv4auth/metrics}}
  awsxray:
    region: us-east-1
    endpoint: http://127.0.0.1:{xray}
    indexed_attributes: [http.route]
  awsemf:
    region: us-east-1
    endpoint: http://127.0.0.1:{aws}
    namespace: cruddur
    log_group_name: /metrics/cruddur
    log_stream_name: backend
    resource_to_telemetry_conversion: {{enabled: true}}
    retain_initial_value_of_delta_metric: true
  awscloudwatchlogs:
    region: us-east-1
    endpoint: http://127.0.0.1:{aws}
    log_group_name: cruddur
    log_stream_name: backend-flask
    log_retention: 7
service:
  extensions: [sigv4auth/xray, sigv4auth/logs, sigv4auth/metrics]
  telemetry: {{metrics: {{level: none}}, logs: {{level: info}}}}
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [otlp_http/honeycomb, otlp_http/json, otlp_grpc, awsxray, otlp_http/xray]
    metrics:
      receivers: [otlp]
      processors: [cumulative_to_delta]
      exporters: [otlp_http/honeycomb, awsemf, otlp_http/cloudwatch_metrics]
    logs:
      receivers: [otlp]
      exporters: [otlp_http/honeycomb, awscloudwatchlogs, otlp_http/cloudwatch_logs]
"""


def aws(client: Client, service: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=client.address("xray" if service == "xray" else "aws"),
        region_name="us-east-1",
        aws_access_key_id=SETTINGS.access_key_id,
        aws_secret_access_key=SETTINGS.secret_access_key,
    )


def retentions(logs: Any) -> dict[str, int | None]:
    """Every log group and how many days it keeps."""
    pages = logs.get_paginator("describe_log_groups").paginate()
    return {
        group["logGroupName"]: group.get("retentionInDays")
        for page in pages
        for group in page["logGroups"]
    }


@pytest.fixture(scope="module")
def own() -> Iterator[Client]:
    """Emulators of this module's own, as the X-Ray destination is set for all of a region."""
    with running() as client:
        yield client


@contextmanager
def collector(own: Client, folder: Path, secret: str) -> Iterator[str]:
    """Run a collector that has every exporter, and yield where it takes OTLP."""
    if not COLLECTOR.exists():
        pytest.skip("no collector in .run/bin: run `make up` once")
    [port] = free_ports(1)
    config, log = folder / "config.yaml", folder / "collector.log"
    # What is tried again because its answer was late would be counted twice.
    config.write_text(CONFIG.format(own=port, patient=f"{SECONDS}s", **own.ports()))
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(COLLECTOR), "--config", str(config)],
            env={
                "PATH": os.environ["PATH"],
                "AWS_ACCESS_KEY_ID": SETTINGS.access_key_id,
                "AWS_SECRET_ACCESS_KEY": secret,
                "AWS_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            },
            stdout=output,
            stderr=output,
        )
    url = f"http://127.0.0.1:{port}/v1"
    try:
        until(lambda: answers(f"{url}/traces"), log)
        yield url
    finally:
        process.kill()
        process.wait(timeout=SECONDS)


@pytest.fixture(scope="module")
def send(
    own: Client, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, bytes], None]]:
    """Sends OTLP of a signal through the collector."""
    aws(own, "xray").update_trace_segment_destination(Destination="CloudWatchLogs")
    logs = aws(own, "logs")
    if "otlp" not in retentions(logs):
        logs.create_log_group(logGroupName="otlp")
        logs.create_log_stream(logGroupName="otlp", logStreamName="backend")
    folder = tmp_path_factory.mktemp("collector")
    with collector(own, folder, SETTINGS.secret_access_key) as url:

        def post(signal: str, body: bytes) -> None:
            answer = requests.post(f"{url}/{signal}", body, headers=PROTOBUF, timeout=SECONDS)
            assert answer.ok, answer.text

        yield post


def answers(url: str) -> bool:
    try:
        return requests.post(url, b"", headers=PROTOBUF, timeout=SECONDS).ok
    except requests.ConnectionError:
        return False


def until(held: Callable[[], object], log: Path | None = None, seconds: float = SECONDS) -> None:
    """Wait for something to hold; fails with the collector's log."""
    deadline = time.monotonic() + seconds
    while not held():
        assert time.monotonic() < deadline, log.read_text() if log else "not in time"


def test_spans_reach_every_vendor(
    send: Callable[[str, bytes], None], own: Client, trace_id: str
) -> None:
    send("traces", otlp_data.traces(trace_id, count=3))

    until(lambda: len(own.holds("honeycomb", trace_id).get("traces", [])) == 3)
    # By OTLP/JSON and by gRPC, and by X-Ray's own exporter and its OTLP endpoint.
    until(lambda: len(own.holds("otlp", trace_id).get("traces", [])) == 6)
    until(lambda: len(own.holds("xray", trace_id).get("traces", [])) == 6)
    assert sorted(own.ids("honeycomb").values()) == [1, 1, 1]
    assert {one["path"] for one in own.requests("xray") if one["status"] == 200} >= {
        "/v1/traces",
        "/TraceSegments",
    }
    found = aws(own, "xray").batch_get_traces(TraceIds=[xray_trace_id(trace_id)])["Traces"]
    assert len(found[0]["Segments"]) == 3
    summaries = aws(own, "xray").get_trace_summaries(
        StartTime=time.time() - 3600,
        EndTime=time.time() + 60,
        FilterExpression='service("backend-flask")'
        ' AND annotation[http.route] = "/api/activities/home"',
    )["TraceSummaries"]
    assert [one["Id"] for one in summaries] == [xray_trace_id(trace_id)]


def test_logs_reach_cloudwatch(
    send: Callable[[str, bytes], None], own: Client, trace_id: str
) -> None:
    send("logs", otlp_data.logs(trace_id))

    until(lambda: len(own.holds("honeycomb", trace_id).get("logs", [])) == 1)
    # By the exporter and by the OTLP endpoint.
    until(lambda: len(own.holds("aws", trace_id).get("logs", [])) == 2)
    by_exporter = [one for one in own.holds("aws", trace_id)["logs"] if "message" in one]
    assert [(one["group"], one["stream"]) for one in by_exporter] == [("cruddur", "backend-flask")]
    assert by_exporter[0]["parsed"]["body"] == "it broke"
    assert retentions(aws(own, "logs"))["cruddur"] == 7


def test_metrics_become_cloudwatchs(
    send: Callable[[str, bytes], None], own: Client, trace_id: str
) -> None:
    send("metrics", otlp_data.metrics(trace_id))

    until(lambda: own.holds("honeycomb", trace_id).get("metrics"))
    until(lambda: own.metrics(namespace="cruddur", name="app.requests"))
    metric = own.metrics(namespace="cruddur", name="app.requests")[0]
    assert metric["dimensions"]["service.name"] == "backend-flask"
    assert own.counts()["aws"]["accepted"].get("emf_errors", 0) == 0
    names = aws(own, "cloudwatch").list_metrics(Namespace="cruddur")["Metrics"]
    assert "app.requests" in {one["MetricName"] for one in names}


def test_a_collector_with_a_wrong_secret_gets_nothing_in(
    own: Client, tmp_path: Path, trace_id: str
) -> None:
    with collector(own, tmp_path, secret="wrong") as url:
        # awsxray has no queue, so its failure is the answer.
        requests.post(
            f"{url}/traces", otlp_data.traces(trace_id), headers=PROTOBUF, timeout=SECONDS
        )
        until(lambda: any(one["status"] == 403 for one in own.requests("xray")))
    assert own.holds("xray", trace_id) == {}
