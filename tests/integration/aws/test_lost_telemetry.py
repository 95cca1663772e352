"""From spans that a service had to drop to an alarm.

The account is the emulator's, provisioned as `make provision` does it; service, instrumentation
and collector with its config are the real ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from emulators import inprocess
from emulators.client import Client
from stack.collector_build import ensure_collector_binary
from stack.provision.account import Target
from stack.settings import ROOT
from stack.waiting import wait_for
from tests.integration.harness.backend import running_backend
from tests.ports import free_ports
from tests.unit.aws.played import provision, target_of
from tests.unit.collector import running as collector

pytestmark = [pytest.mark.collector, pytest.mark.only_native, pytest.mark.timeout(300)]

REGION = "eu-west-1"
ALARM = "cruddur-telemetry-lost"
PERIOD_SECONDS = 300
RAISED_SECONDS = 60
# Two batches do not fit, so the SDK's own queue drops spans too.
SMALL = {
    "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
    "OTEL_BSP_MAX_QUEUE_SIZE": "16",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8",
    "WEB_CONCURRENCY": "1",
}


@pytest.fixture
def emulators() -> Iterator[Client]:
    with inprocess.running() as playing:
        yield playing


@pytest.fixture
def target(emulators: Client) -> Target:
    """An account that has nothing but what aws/ asks for."""
    # moto's accounts are the process's: an earlier test's metrics would be in this one.
    emulators.reset(everything=True)
    target = target_of(emulators)
    provision(target)
    return target


def state(target: Target) -> str:
    [alarm] = target.client("cloudwatch").describe_alarms(AlarmNames=[ALARM])["MetricAlarms"]
    return str(alarm["StateValue"])


def test_what_is_lost_while_the_collector_is_away_raises_the_alarm_when_it_is_back(
    target: Target, emulators: Client, tmp_path: Path
) -> None:
    # given a service whose collector is not there, and an alarm that is silent
    binary = ensure_collector_binary(ROOT)
    [otlp_port] = free_ports(1)
    environment = {
        "OTLP_HTTP_PORT": str(otlp_port),
        "XRAY_ENDPOINT": emulators.address("xray"),
        "CLOUDWATCH_LOGS_ENDPOINT": emulators.address("aws"),
        "AWS_ACCESS_KEY_ID": str(target.access_key_id),
        "AWS_SECRET_ACCESS_KEY": str(target.secret_access_key),
        "AWS_REGION": REGION,
    }
    with running_backend(tmp_path, f"http://127.0.0.1:{otlp_port}", SMALL) as backend:
        assert state(target) == "OK"
        # when it has to drop spans, and the collector comes
        for _ in range(20):
            assert requests.get(f"{backend.url}/api/activities/home", timeout=30).ok
        wait_for(
            "the service to say that it lost spans",
            backend.console.read_text,
            until=lambda text: "spans of this process are lost so far" in text,
            seconds=90,
        )
        assert state(target) == "OK"
        # The alarm looks at the period that is going on, and what was lost is told once.
        wait_for(
            f"{RAISED_SECONDS} s before the next period",
            lambda: time.time() % PERIOD_SECONDS < PERIOD_SECONDS - RAISED_SECONDS,
            seconds=RAISED_SECONDS + 5,
        )
        with collector.running(binary, tmp_path / "collector", environment=environment):
            # then the alarm tells, though the first total came with the collector's start
            wait_for(
                f"{ALARM} to be raised",
                lambda: state(target),
                until=lambda found: found == "ALARM",
                seconds=RAISED_SECONDS,
            )
    # and by how much, as one number of all services
    lost = [
        value * count
        for metric in emulators.metrics("cruddur", "telemetry.lost")
        if metric["dimensions"] == {}
        for value, count in metric["values"]
    ]
    said = backend.console.read_text().split(" spans of this process are lost")[0].split('"')[-1]
    assert sum(lost) >= int(said), (lost, said)


def test_a_service_that_loses_nothing_raises_nothing(
    target: Target, emulators: Client, tmp_path: Path
) -> None:
    # given a service whose collector is there
    environment = {
        "XRAY_ENDPOINT": emulators.address("xray"),
        "CLOUDWATCH_LOGS_ENDPOINT": emulators.address("aws"),
        "AWS_ACCESS_KEY_ID": str(target.access_key_id),
        "AWS_SECRET_ACCESS_KEY": str(target.secret_access_key),
        "AWS_REGION": REGION,
    }
    binary = ensure_collector_binary(ROOT)
    with (
        collector.running(binary, tmp_path / "collector", environment=environment) as started,
        running_backend(tmp_path, started.otlp, {}) as backend,
    ):
        # when it is used, and its metrics have come
        assert requests.get(f"{backend.url}/api/activities/home", timeout=30).ok
        wait_for(
            "a metric of the service in CloudWatch",
            lambda: emulators.metrics("cruddur", "http.server.request.duration"),
            seconds=90,
        )
    # then
    assert emulators.metrics("cruddur", "telemetry.lost") == []
    assert state(target) == "OK"
