"""What each vendor of `collector/vendors` asks of a request: its documented rules, one by one.

The tests are made from the folder: a fragment that is not in `WANTED` is red.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from emulators.aws.settings import Settings
from emulators.otlp.expectation import MIB, Expectation, SigV4

KEY = "a-key-of-the-tests"
REGION = "eu-central-1"
AWS = {
    "AWS_REGION": REGION,
    "AWS_ACCESS_KEY_ID": Settings().access_key_id,
    "AWS_SECRET_ACCESS_KEY": Settings().secret_access_key,
}


@dataclass(frozen=True)
class Wanted:
    """`rules`: what the emulator demands. `environment`: the fragment's variables; `{http}` and
    `{grpc}` in them become the emulator's addresses, `{certificates}` a folder. `hosts`: where each
    exporter sends as long as no endpoint is set, in the order of the file. `aws`: the signing name
    by signal. `tls`: who shows a certificate.
    """

    rules: Expectation
    environment: Mapping[str, str]
    hosts: tuple[str, ...] = ()
    aws: Mapping[str, str] = field(default_factory=dict)
    tls: Literal["none", "server", "mutual"] = "none"


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


WANTED: dict[str, Wanted] = {
    "axiom": Wanted(
        Expectation(
            name="Axiom",
            protocol="http",
            headers={"Authorization": f"Bearer {KEY}"},
            headers_by_signal={
                "traces": {"X-Axiom-Dataset": "spans-of-tests"},
                "metrics": {"X-Axiom-Metrics-Dataset": "metrics"},
                "logs": {"X-Axiom-Dataset": "logs"},
            },
            encodings=frozenset({"protobuf"}),
        ),
        {
            "AXIOM_API_TOKEN": KEY,
            "AXIOM_ENDPOINT": "{http}",
            "AXIOM_TRACES_DATASET": "spans-of-tests",
        },
        ("https://api.axiom.co",) * 3,
    ),
    "cloudwatch-otlp": Wanted(
        Expectation(
            name="CloudWatch",
            protocol="http",
            signals=frozenset({"metrics", "logs"}),
            headers_by_signal={
                "logs": {"x-aws-log-group": "cruddur", "x-aws-log-stream": "stream-of-tests"}
            },
            compressions=frozenset({"none", "gzip"}),
            max_plain=1_000_000,
        ),
        {
            "CLOUDWATCH_OTLP_LOGS_ENDPOINT": "{http}/v1/logs",
            "CLOUDWATCH_OTLP_METRICS_ENDPOINT": "{http}/v1/metrics",
            "CLOUDWATCH_OTLP_LOG_STREAM": "stream-of-tests",
        },
        ("", ""),
        aws={"logs": "logs", "metrics": "monitoring"},
    ),
    "dash0": Wanted(
        Expectation(
            name="Dash0",
            protocol="grpc",
            headers={"authorization": f"Bearer {KEY}", "dash0-dataset": "default"},
        ),
        {"DASH0_ENDPOINT": "{grpc}", "DASH0_AUTH_TOKEN": KEY},
        ("",),
        tls="server",
    ),
    "datadog": Wanted(
        Expectation(
            name="Datadog",
            protocol="http",
            headers={"dd-api-key": KEY, "dd-otlp-source": "datadog"},
            temporality="delta",
            encodings=frozenset({"protobuf"}),
            refusal_status=403,
        ),
        {"DATADOG_API_KEY": KEY, "DATADOG_ENDPOINT": "{http}"},
        ("https://otlp.datadoghq.com",),
    ),
    "elastic": Wanted(
        Expectation(
            name="Elastic",
            protocol="http",
            headers={"Authorization": f"ApiKey {KEY}"},
            temporality="delta",
        ),
        {"ELASTIC_API_KEY": KEY, "ELASTIC_OTLP_ENDPOINT": "{http}"},
        ("",),
    ),
    "grafana-cloud": Wanted(
        Expectation(
            name="Grafana Cloud",
            protocol="http",
            path_prefix="/otlp",
            headers={"Authorization": _basic("123456", KEY)},
            temporality="cumulative",
        ),
        {
            "GRAFANA_CLOUD_ENDPOINT": "{http}/otlp",
            "GRAFANA_CLOUD_INSTANCE_ID": "123456",
            "GRAFANA_CLOUD_TOKEN": KEY,
        },
        ("",),
    ),
    "honeycomb-eu": Wanted(
        Expectation(
            name="Honeycomb EU",
            protocol="http",
            headers={"x-honeycomb-team": KEY},
            headers_by_signal={"metrics": {"x-honeycomb-dataset": "metrics"}},
            max_sent=15 * MIB,
        ),
        {"HONEYCOMB_EU_API_KEY": KEY, "HONEYCOMB_EU_ENDPOINT": "{http}"},
        ("https://api.eu1.honeycomb.io",),
    ),
    "jaeger": Wanted(
        Expectation(name="Jaeger", protocol="grpc", signals=frozenset({"traces"})),
        {"JAEGER_ENDPOINT": "{grpc}"},
        ("",),
    ),
    "new-relic": Wanted(
        Expectation(
            name="New Relic",
            protocol="http",
            headers={"api-key": KEY},
            temporality="delta",
            max_sent=1_000_000,
            max_plain=1_000_000,
        ),
        {"NEW_RELIC_LICENSE_KEY": KEY, "NEW_RELIC_ENDPOINT": "{http}"},
        ("https://otlp.nr-data.net",),
    ),
    "otlp-mtls": Wanted(
        Expectation(name="a gateway with mutual TLS", protocol="http"),
        {
            "OTLP_MTLS_ENDPOINT": "{http}",
            "OTLP_MTLS_CA_FILE": "{certificates}/ca.pem",
            "OTLP_MTLS_CERT_FILE": "{certificates}/client.pem",
            "OTLP_MTLS_KEY_FILE": "{certificates}/client.key",
        },
        ("",),
        tls="mutual",
    ),
    "signoz": Wanted(
        Expectation(name="SigNoz", protocol="http", headers={"signoz-ingestion-key": KEY}),
        {"SIGNOZ_INGESTION_KEY": KEY, "SIGNOZ_ENDPOINT": "{http}"},
        ("https://ingest.us.signoz.cloud:443",),
    ),
    "xray-otlp": Wanted(
        Expectation(
            name="X-Ray",
            protocol="http",
            signals=frozenset({"traces"}),
            compressions=frozenset({"none", "gzip"}),
            max_plain=5_000_000,
            max_items=10_000,
        ),
        {"XRAY_OTLP_ENDPOINT": "{http}/v1/traces"},
        ("",),
        aws={"traces": "xray"},
    ),
}

NO_EXPORTER = {"xray-daemon": "test_xray_daemon.py"}
"""Fragments that receive: where their tests are."""


def rules_for(wanted: Wanted, signal: str) -> Expectation:
    """The rules while `signal` is looked at."""
    service = wanted.aws.get(signal)
    if service is None:
        return wanted.rules
    return wanted.rules.model_copy(update={"sigv4": SigV4(service=service, region=REGION)})
