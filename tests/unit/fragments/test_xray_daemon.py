"""An app with the X-Ray SDK, its daemon's place taken by the collector."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
import requests
from botocore.config import Config

from emulators.aws.settings import Settings
from emulators.client import Client
from stack.waiting import wait_for
from tests.ports import free_ports
from tests.unit.collector.running import Collector
from tests.unit.fragments.delivery import SOON, collector_with, fragment
from tests.unit.fragments.expectations import REGION
from tests.unit.fragments.migrating import app, vendors_of

pytestmark = pytest.mark.collector

VENDORS = ("xray", "honeycomb")
ASKING = {"X-Amzn-Trace-Id": "Sampled=?"}


@pytest.fixture(scope="module")
def emulators(every_emulator: Callable[[str], Client]) -> Client:
    client = every_emulator("none")
    client.reset(everything=True)
    # Every request is recorded by this rule; the SDK's own would be one a second.
    settings = Settings()
    xray = boto3.client(
        "xray",
        endpoint_url=client.address("xray"),
        region_name=REGION,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
        config=Config(proxies={}),
    )
    xray.create_sampling_rule(
        SamplingRule={
            "RuleName": "all",
            "ResourceARN": "*",
            "Priority": 1,
            "FixedRate": 1.0,
            "ReservoirSize": 0,
            "ServiceName": "backend-flask",
            "ServiceType": "*",
            "Host": "*",
            "HTTPMethod": "*",
            "URLPath": "*",
            "Version": 1,
        }
    )
    return client


@pytest.fixture(scope="module")
def collector(
    binary: Path, emulators: Client, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collector]:
    # One number for both, as the SDK has it: segments by UDP, sampling rules by TCP.
    [port] = free_ports(1)
    environment = {
        **vendors_of(emulators),
        "AWSPROXY_PORT": str(port),
        "XRAY_DAEMON_UDP_PORT": str(port),
    }
    folder = tmp_path_factory.mktemp("xray-daemon")
    with collector_with(binary, folder, fragment("xray-daemon"), environment) as started:
        yield started


@pytest.fixture(scope="module")
def url(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    environment = {
        "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{collector.environment['AWSPROXY_PORT']}",
        "AWS_XRAY_URL": "*4567-cruddur.example*",
    }
    with app("xray_sdk", tmp_path_factory.mktemp("app"), environment) as served:
        # The SDK asks for the rules with its first request, and has them a moment after X-Ray has
        # answered; until then it records one request a second, and 5 % of the others.
        wait_for(
            "requests that are recorded one after another",
            lambda: [_sampled(f"{served}/api/activities/@first") for _ in range(5)],
            until=all,
            seconds=SOON,
        )
        yield served


def test_a_request_is_a_trace_at_xray_at_honeycomb_and_on_disk(
    collector: Collector, emulators: Client, url: str
) -> None:
    # when
    trace_id = _ask(f"{url}/api/activities/@andrewbrown")
    # then
    held = _arrived(emulators, trace_id)
    segments = {one["name"]: one for one in _documents(held["xray"])}
    spans = {one["event"]["name"] for one in held["honeycomb"]}
    assert {"backend-flask", "user_activities", "mock-data"} <= set(segments)
    assert spans == {"backend-flask", "user_activities", "mock-data"}
    collector.wait_for_file("traces", trace_id)


def test_annotations_stay_searchable(emulators: Client, url: str) -> None:
    # when
    trace_id = _ask(f"{url}/api/activities/@andrewbrown")
    # then
    held = _arrived(emulators, trace_id)
    segments = {one["name"]: one for one in _documents(held["xray"])}
    assert segments["mock-data"]["annotations"]["handle"] == "andrewbrown"


def test_an_error_is_a_fault(emulators: Client, url: str) -> None:
    # when
    trace_id = _ask(f"{url}/api/broken", status=500)
    # then
    segments = {
        one["name"]: one for one in _documents(_arrived(emulators, trace_id, parts=1)["xray"])
    }
    assert segments["backend-flask"]["fault"] is True


def test_what_the_sdk_sends_is_cleaned(emulators: Client, url: str) -> None:
    # when
    trace_id = _ask(f"{url}/api/activities/@andrewbrown?token=hush-hush&page=2")
    # then
    assert "hush-hush" not in json.dumps(_arrived(emulators, trace_id))


def test_the_sampling_rule_of_xray_is_followed(emulators: Client, url: str) -> None:
    """Ten at once: without X-Ray's rule the SDK would record one, and 5 % of the others."""
    # when
    trace_ids = [_ask(f"{url}/api/activities/@{number}") for number in range(10)]
    # then
    for trace_id in trace_ids:
        _arrived(emulators, trace_id)


def test_it_listens_on_loopback_alone(collector: Collector) -> None:
    connections = psutil.Process(collector.process.pid).net_connections("inet")

    udp = [one.laddr for one in connections if one.type.name == "SOCK_DGRAM"]
    tcp = [one.laddr for one in connections if one.status == psutil.CONN_LISTEN]

    port = int(collector.environment["AWSPROXY_PORT"])
    assert [(address.ip, address.port) for address in udp] == [("127.0.0.1", port)]
    assert {address.ip for address in tcp} == {"127.0.0.1"}
    assert port in {address.port for address in tcp}


def _ask(url: str, status: int = 200) -> str:
    """The trace id that the SDK answers with, as 32 hex digits; the request was recorded."""
    answer = requests.get(url, headers=ASKING, timeout=SOON)
    assert answer.status_code == status
    said = _said(answer)
    assert said["Sampled"] == "1"
    _, seconds, rest = said["Root"].split("-")
    return seconds + rest


def _sampled(url: str) -> bool:
    return _said(requests.get(url, headers=ASKING, timeout=SOON))["Sampled"] == "1"


def _said(answer: requests.Response) -> dict[str, str]:
    return dict(part.split("=") for part in answer.headers["X-Amzn-Trace-Id"].split(";"))


def _arrived(emulators: Client, trace_id: str, parts: int = 3) -> dict[str, list[dict[str, Any]]]:
    """What each vendor holds of the trace, once all hold that many spans or segments."""
    return wait_for(
        f"trace {trace_id} at {' and '.join(VENDORS)}",
        lambda: {name: emulators.holds(name, trace_id).get("traces", []) for name in VENDORS},
        until=lambda held: all(len(found) >= parts for found in held.values()),
        seconds=SOON,
    )


def _documents(segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Segments and what is inside of them, flat."""
    found = []
    for segment in segments:
        found.append(segment)
        found += _documents(segment.get("subsegments", []))
    return found
