"""What the bootcamp's team had in its code, by the words of docs/migrate.md: each piece arrives."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import boto3
import pytest
import requests
from botocore.config import Config

from emulators.aws.settings import Settings
from emulators.client import Client
from stack.services import make_plan
from stack.services.external import Place, service_env
from stack.settings import ROOT, load_settings
from stack.waiting import wait_for
from tests.ports import free_ports
from tests.unit.fragments.delivery import SOON, collector_with, fragment
from tests.unit.fragments.expectations import REGION
from tests.unit.fragments.migrating import APPS, app, vendors_of

pytestmark = pytest.mark.collector

GUIDE = (ROOT / "docs/migrate.md").read_text()


@pytest.fixture(scope="module")
def emulators(every_emulator: Callable[[str], Client]) -> Client:
    client = every_emulator("none")
    client.reset(everything=True)
    return client


@pytest.fixture(scope="module")
def url(binary: Path, emulators: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the app, started as the guide says, beside a collector `WITH=xray-daemon`."""
    [port] = free_ports(1)
    environment = {
        **vendors_of(emulators),
        "AWSPROXY_PORT": str(port),
        "XRAY_DAEMON_UDP_PORT": str(port),
    }
    folder = tmp_path_factory.mktemp("bootcamp")
    with collector_with(binary, folder, fragment("xray-daemon"), environment) as collector:
        asked = re.search(r"env SERVICE=(\S+) SDK=([\w,]+)\)", GUIDE)
        assert asked
        ports = emulators.ports()
        chosen = {
            "RUNTIME": "native",
            "AWS_REGION": REGION,
            "OTLP_HTTP_PORT": collector.environment["OTLP_HTTP_PORT"],
            "EMULATOR_ROLLBAR_PORT": str(ports["rollbar"]),
            "EMULATOR_AWS_PORT": str(ports["aws"]),
        }
        plan = make_plan(load_settings(ROOT, chosen), ROOT, "native")
        printed = service_env(plan, asked[1], Place.HOST, asked[2].split(",")).variables
        daemon = {"AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{port}"}
        with app(
            "bootcamp", folder, {**printed, **daemon, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        ) as own:
            yield own


def test_the_guides_python_stands_in_the_app() -> None:
    source = (APPS / "bootcamp.py").read_text()
    steps = GUIDE.partition("## All of it at once")[2].partition("## From the X-Ray SDK")[0]
    blocks = re.findall(r"^ *```python\n(.*?)```", steps, re.DOTALL | re.MULTILINE)

    text = "".join(map(dedent, blocks))
    lines = [line for line in text.splitlines() if line.strip(" …")]

    assert len(lines) > 5
    assert [line for line in lines if line not in source.splitlines()] == []


def test_the_sdks_spans_are_at_honeycomb_and_at_x_ray(emulators: Client, url: str) -> None:
    trace_id = secrets.token_hex(16)

    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    answer = requests.get(f"{url}/api/activities/home", headers=headers, timeout=SOON)

    assert answer.status_code == 200
    for vendor in ("honeycomb", "xray"):
        wait_for(
            f"the spans at {vendor}",
            lambda vendor=vendor: emulators.holds(vendor, trace_id).get("traces", []),  # type: ignore[misc]
            seconds=SOON,
        )


def test_the_x_ray_sdks_segment_is_at_x_ray_and_at_honeycomb(emulators: Client, url: str) -> None:
    def recorded() -> str:
        answer = requests.get(
            f"{url}/api/activities/home", headers={"X-Amzn-Trace-Id": "Sampled=?"}, timeout=SOON
        )
        said = dict(part.split("=") for part in answer.headers["X-Amzn-Trace-Id"].split(";"))
        # By the SDK's own rule one request a second is recorded.
        return "".join(said["Root"].split("-")[1:]) if said["Sampled"] == "1" else ""

    trace_id = wait_for("a request that is recorded", recorded, seconds=SOON)

    for vendor in ("xray", "honeycomb"):
        wait_for(
            f"the segment at {vendor}",
            lambda vendor=vendor: emulators.holds(vendor, trace_id).get("traces", []),  # type: ignore[misc]
            seconds=SOON,
        )


def test_watchtowers_records_are_at_cloudwatch(emulators: Client, url: str) -> None:
    mark = secrets.token_hex(8)

    requests.get(f"{url}/api/activities/home?by={mark}", timeout=SOON)

    logs = boto3.client(
        "logs",
        endpoint_url=emulators.address("aws"),
        region_name=REGION,
        aws_access_key_id=Settings().access_key_id,
        aws_secret_access_key=Settings().secret_access_key,
        config=Config(proxies={}),
    )
    wait_for(
        "the record in the group cruddur",
        lambda: [
            event["message"]
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName="cruddur")
            for event in page["events"]
        ],
        until=lambda messages: any(mark in message for message in messages),
        seconds=SOON,
    )


def test_an_exception_is_at_rollbar(emulators: Client, url: str) -> None:
    mark = secrets.token_hex(8)

    assert requests.get(f"{url}/api/broken?by={mark}", timeout=SOON).status_code == 500

    wait_for(
        "the item",
        lambda: emulators.items("rollbar"),
        until=lambda items: f"broken by {mark}" in items,
        seconds=SOON,
    )
