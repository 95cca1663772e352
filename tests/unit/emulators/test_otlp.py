"""The generic OTLP emulator: what an expectation demands, over HTTP and gRPC."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
import trustme
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from emulators.aws.settings import Settings as AwsSettings
from emulators.client import Client, EmulatorError
from emulators.core.settings import Settings
from emulators.inprocess import running
from emulators.otlp.expectation import Expectation, Header, SigV4
from emulators.otlp.settings import Settings as OtlpSettings
from stack.waiting import wait_for
from tests.unit.emulators import otlp_data

PROTOBUF = "application/x-protobuf"
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SECONDS = 60
"""For what takes milliseconds on a machine that is not busy."""
# Or the next call would wait with a connection that an earlier one saw refused.
OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)


@pytest.fixture
def expect(emulators: Client) -> Iterator[Callable[..., None]]:
    """Sets an expectation by its fields; the default one returns afterwards."""

    def demand(**fields: Any) -> None:
        emulators.expect(Expectation(**fields))

    yield demand
    emulators.expect(Expectation())


def post(emulators: Client, path: str, body: bytes, **headers: str) -> requests.Response:
    sent = {"Content-Type": PROTOBUF}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(
        f"{emulators.address('otlp')}{path}", data=body, headers=sent, timeout=SECONDS
    )


def call(
    channel: grpc.Channel,
    body: bytes,
    timeout: float = SECONDS,
    metadata: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """One raw gRPC export."""
    method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT)
    return method(body, timeout=timeout, metadata=metadata)


def export(address: str, body: bytes, *metadata: tuple[str, str]) -> bytes:
    with grpc.insecure_channel(address, options=OWN_CONNECTION) as channel:
        return call(channel, body, metadata=metadata)


def grpc_address(emulators: Client) -> str:
    return f"127.0.0.1:{emulators.ports()['otlp_grpc']}"


def test_without_an_expectation_all_well_formed_otlp_is_taken(
    emulators: Client, trace_id: str
) -> None:
    assert post(emulators, "/v1/traces", otlp_data.traces(trace_id)).ok
    assert post(emulators, "/v1/logs", otlp_data.logs(trace_id)).ok
    assert post(emulators, "/v1/metrics", otlp_data.metrics(trace_id)).ok
    held = emulators.holds("otlp", trace_id)
    assert set(held) == {"traces", "logs", "metrics"}
    assert held["traces"][0]["resource"] == {"service.name": "backend-flask"}
    assert held["metrics"][0]["temporality"] == "cumulative"
    assert post(emulators, "/otlp/v1/traces", otlp_data.traces(trace_id)).status_code == 404


def test_the_path_prefix_is_demanded(
    emulators: Client, expect: Callable[..., None], trace_id: str
) -> None:
    expect(name="grafana-cloud", path_prefix="/otlp")
    assert post(emulators, "/otlp/v1/traces", otlp_data.traces(trace_id)).ok
    wrong = post(emulators, "/v1/traces", otlp_data.traces(trace_id))
    assert wrong.status_code == 404
    assert b"grafana-cloud" in wrong.content


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"api_key": "k", "x_dataset": "t"}, 200),
        ({"x_dataset": "t"}, 403),
        ({"api_key": "wrong", "x_dataset": "t"}, 403),
        ({"api_key": "k"}, 403),
        ({"api_key": "k", "x_dataset": "T"}, 403),
    ],
)
def test_headers_are_demanded(
    emulators: Client,
    expect: Callable[..., None],
    trace_id: str,
    sent: dict[str, str],
    status: int,
) -> None:
    expect(
        headers={"api-key": "k"},
        headers_by_signal={"traces": {"x-dataset": Header(pattern="[a-z]+")}},
        refusal_status=403,
    )
    assert post(emulators, "/v1/traces", otlp_data.traces(trace_id), **sent).status_code == status


def test_the_temporality_is_demanded(
    emulators: Client, expect: Callable[..., None], trace_id: str
) -> None:
    expect(temporality="delta")

    wrong = post(emulators, "/v1/metrics", otlp_data.metrics(trace_id))
    partial = ExportMetricsServiceResponse.FromString(wrong.content).partial_success
    assert partial.rejected_data_points == 1
    assert "delta wanted" in partial.error_message
    assert emulators.holds("otlp", trace_id) == {}

    assert post(emulators, "/v1/metrics", otlp_data.metrics(trace_id, delta=True)).ok
    assert len(emulators.holds("otlp", trace_id)["metrics"]) == 1


@pytest.mark.parametrize(
    ("rules", "status"),
    [
        ({"max_sent": 200}, 413),
        ({"max_items": 9}, 400),
        ({"signals": ["logs"]}, 404),
        ({"encodings": ["json"]}, 415),
        ({"compressions": ["gzip"]}, 415),
        ({"protocol": "grpc"}, 404),
        ({"paths": {"traces": "/api/spans"}}, 404),
        ({}, 200),
    ],
)
def test_every_other_rule_is_kept(
    emulators: Client,
    expect: Callable[..., None],
    trace_id: str,
    rules: dict[str, Any],
    status: int,
) -> None:
    expect(**rules)
    body = otlp_data.traces(trace_id, count=10)
    assert post(emulators, "/v1/traces", body).status_code == status


def test_the_plain_size_is_demanded_apart_from_the_sent_one(
    emulators: Client, expect: Callable[..., None], trace_id: str
) -> None:
    body = otlp_data.traces(trace_id, count=100)
    expect(max_plain=len(body) - 1)
    answer = post(emulators, "/v1/traces", gzip.compress(body), Content_Encoding="gzip")
    assert answer.status_code == 413


def test_a_signature_is_demanded(
    emulators: Client, expect: Callable[..., None], trace_id: str
) -> None:
    expect(sigv4=SigV4(service="monitoring", region="eu-west-1"))
    keys = AwsSettings()

    def signed(service: str, region: str, secret: str, body: bytes) -> int:
        url = f"{emulators.address('otlp')}/v1/traces"
        request = AWSRequest("POST", url, data=body, headers={"Content-Type": PROTOBUF})
        credentials = Credentials(keys.access_key_id, secret)
        SigV4Auth(credentials, service, region).add_auth(request)
        headers = dict(request.headers.items())
        return requests.post(url, data=body, headers=headers, timeout=SECONDS).status_code

    body, secret = otlp_data.traces(trace_id), keys.secret_access_key
    assert signed("monitoring", "eu-west-1", secret, body) == 200
    assert len(emulators.holds("otlp", trace_id)["traces"]) == 1
    assert signed("logs", "eu-west-1", secret, body) == 403
    assert signed("monitoring", "us-east-1", secret, body) == 403
    assert signed("monitoring", "eu-west-1", "wrong", body) == 403
    assert post(emulators, "/v1/traces", body).status_code == 403


def test_an_expectation_with_a_mistake_is_refused(emulators: Client) -> None:
    answer = requests.put(
        f"{emulators.url}/otlp/expectation", data=json.dumps({"path_prefx": "/otlp"}), timeout=60
    )
    assert answer.status_code == 422
    assert "path_prefx" in answer.json()["error"]


def test_grpc_by_opentelemetrys_exporter(emulators: Client) -> None:
    provider = TracerProvider(resource=Resource.create({"service.name": "sdk"}))
    exporter = OTLPSpanExporter(grpc_address(emulators), insecure=True, timeout=SECONDS)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("test").start_as_current_span("hello") as span:
        trace_id = f"{span.get_span_context().trace_id:032x}"
    provider.shutdown()

    assert [one["name"] for one in emulators.holds("otlp", trace_id)["traces"]] == ["hello"]


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ({"headers": {"authorization": "Bearer k"}}, grpc.StatusCode.UNAUTHENTICATED),
        ({"headers": {"x": "1"}, "refusal_status": 403}, grpc.StatusCode.PERMISSION_DENIED),
        ({"protocol": "http"}, grpc.StatusCode.UNIMPLEMENTED),
        ({"max_plain": 100}, grpc.StatusCode.RESOURCE_EXHAUSTED),
        ({"max_items": 1}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_grpc_keeps_the_same_rules(
    emulators: Client,
    expect: Callable[..., None],
    trace_id: str,
    rules: dict[str, Any],
    code: grpc.StatusCode,
) -> None:
    expect(**rules)
    with pytest.raises(grpc.RpcError) as refused:
        export(grpc_address(emulators), otlp_data.traces(trace_id, count=2))
    assert refused.value.code() == code
    assert emulators.holds("otlp", trace_id) == {}


def test_grpc_headers_let_in(emulators: Client, expect: Callable[..., None], trace_id: str) -> None:
    expect(headers={"Authorization": "Bearer k", "Dash0-Dataset": "d"})
    metadata = (("authorization", "Bearer k"), ("dash0-dataset", "d"))
    export(grpc_address(emulators), otlp_data.traces(trace_id), *metadata)
    assert len(emulators.holds("otlp", trace_id)["traces"]) == 1


def test_grpc_garbage_is_an_invalid_argument(emulators: Client) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        export(grpc_address(emulators), b"\xff\xff")
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("400", grpc.StatusCode.INVALID_ARGUMENT),
        ("401", grpc.StatusCode.UNAUTHENTICATED),
        ("403", grpc.StatusCode.PERMISSION_DENIED),
        ("429", grpc.StatusCode.RESOURCE_EXHAUSTED),
        ("500", grpc.StatusCode.INTERNAL),
        ("503", grpc.StatusCode.UNAVAILABLE),
        ("refuse", grpc.StatusCode.UNAVAILABLE),
        ("reset", grpc.StatusCode.UNAVAILABLE),
    ],
)
def test_grpc_faults(emulators: Client, trace_id: str, mode: Any, code: grpc.StatusCode) -> None:
    emulators.break_("otlp", mode)
    with pytest.raises(grpc.RpcError) as failed:
        export(grpc_address(emulators), otlp_data.traces(trace_id))
    assert failed.value.code() == code
    emulators.heal()
    export(grpc_address(emulators), otlp_data.traces(trace_id))
    assert len(emulators.holds("otlp", trace_id)["traces"]) == 1


def test_grpc_hangs_and_rejects_part(emulators: Client, trace_id: str) -> None:
    address, body = grpc_address(emulators), otlp_data.traces(trace_id, count=4)
    emulators.reset("otlp")
    emulators.break_("otlp", "hang")
    with grpc.insecure_channel(address, options=OWN_CONNECTION) as channel:
        method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT)
        hung = method.future(body, timeout=SECONDS)
        wait_for("the request", lambda: emulators.requests("otlp"), seconds=SECONDS)
        with pytest.raises(grpc.FutureTimeoutError):
            hung.result(timeout=0.3)
    [taken] = emulators.requests("otlp")
    assert taken["fault"] == "hang"

    emulators.break_("otlp", "partial", share=0.5)
    answer = ExportTraceServiceResponse.FromString(export(address, body))
    assert answer.partial_success.rejected_spans == 2
    assert len(emulators.holds("otlp", trace_id)["traces"]) == 2


def test_grpc_advises_when_to_retry(emulators: Client, trace_id: str) -> None:
    emulators.break_("otlp", "429", retry_after=3)
    with pytest.raises(grpc.RpcError) as failed:
        export(grpc_address(emulators), otlp_data.traces(trace_id))
    trailers = {one.key: one.value for one in failed.value.trailing_metadata()}
    assert b"google.rpc.RetryInfo" in trailers["grpc-status-details-bin"]


@pytest.fixture(scope="module")
def mutual_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Path]]:
    """Emulators whose otlp ports ask for a client's certificate, and the folder of the keys."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name in ("server", "client"):
        issued = authority.issue_cert("127.0.0.1", "localhost")
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
        for part in issued.cert_chain_pems:
            part.write_to_path(folder / f"{name}.pem", append=True)
    otlp = OtlpSettings(
        tls_cert=str(folder / "server.pem"),
        tls_key=str(folder / "server.key"),
        tls_client_ca=str(folder / "ca.pem"),
    )
    with running(Settings(of_vendors=(otlp,))) as client:
        yield client, folder


def test_mutual_tls_over_http(mutual_tls: tuple[Client, Path], trace_id: str) -> None:
    client, folder = mutual_tls
    url = f"https://127.0.0.1:{client.ports()['otlp']}/v1/traces"

    def send(cert: tuple[str, str] | None) -> requests.Response:
        return requests.post(
            url,
            data=otlp_data.traces(trace_id),
            headers={"Content-Type": PROTOBUF},
            verify=str(folder / "ca.pem"),
            cert=cert,
            timeout=SECONDS,
        )

    with pytest.raises(requests.ConnectionError):
        send(None)
    assert send((str(folder / "client.pem"), str(folder / "client.key"))).ok
    assert len(client.holds("otlp", trace_id)["traces"]) == 1


def test_mutual_tls_over_grpc(mutual_tls: tuple[Client, Path], trace_id: str) -> None:
    client, folder = mutual_tls

    def send(key: bytes | None, chain: bytes | None) -> None:
        credentials = grpc.ssl_channel_credentials((folder / "ca.pem").read_bytes(), key, chain)
        address = grpc_address(client)
        with grpc.secure_channel(address, credentials, OWN_CONNECTION) as channel:
            call(channel, otlp_data.traces(trace_id))

    with pytest.raises(grpc.RpcError):
        send(None, None)
    send((folder / "client.key").read_bytes(), (folder / "client.pem").read_bytes())
    assert len(client.holds("otlp", trace_id)["traces"]) == 1


def test_a_client_whose_name_is_wrong_gets_a_clear_error(emulators: Client) -> None:
    with pytest.raises(
        EmulatorError, match="no vendor 'nobody'; there are: aws, grafana-cloud, honeycomb"
    ):
        emulators.holds("nobody", "0" * 32)
