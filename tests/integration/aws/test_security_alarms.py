"""From requests to an alarm: who is refused, who probes, and who only uses the service.

The account is the emulator's, provisioned as `make provision` does it; service, instrumentation
and collector with its config are the real ones.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from emulators import inprocess
from emulators.aws.settings import Settings as EmulatorSettings
from emulators.client import Client
from stack.collector_build import ensure_collector_binary
from stack.provision.account import Target
from stack.settings import ROOT
from stack.telemetry import read_spans
from stack.waiting import wait_for
from tests.integration.harness.backend import running_backend
from tests.unit.aws import played
from tests.unit.collector import running as collector

pytestmark = [pytest.mark.collector, pytest.mark.only_native, pytest.mark.timeout(400)]

REGION = "eu-west-1"
ARRIVAL_SECONDS = 30
# Enough to send a burst and see it counted, also on two busy cores.
ROOM_SECONDS = 40
APPS = Path(__file__).parent / "apps"

NOT_FOUND, INVALID = "/api/nothing", "/api/activities/search"
DENIED = ("/api/test/refused/401", "/api/test/refused/403")
MARK = "x4711x"
SEARCH = f"{INVALID}?term="
PROBES = (
    SEARCH + quote(f"{MARK}' OR '1'='1"),
    SEARCH + quote(MARK + "{{7*7}}"),
    SEARCH + quote(quote(f"<script>{MARK}</script>")),
    f"/../../etc/passwd?{MARK}",
    f"/.env?{MARK}",
)
ORDINARY = (
    "/api/activities/home",
    "/api/activities/@worf",
    SEARCH + quote("it's o'clock"),
    SEARCH + quote("the union select committee"),
    SEARCH + quote("cats & <3 ; dogs"),
)
ALARMS = ("denied-burst", "not-found-burst", "invalid-burst", "probes", "one-client")


@dataclass
class Watched:
    """The service at `url`, the account that watches it, and the folder of the local record."""

    url: str
    folder: Path
    console: Path
    target: Target
    emulators: Client
    sent: int = 0

    def provision(self, **parameters: Any) -> None:
        """An account that has nothing but what aws/ asks for."""
        self.emulators.reset(everything=True)
        self.sent = 0
        played.provision(self.target, **parameters)

    def send(self, paths: Sequence[str], clients: Sequence[str] = ("127.0.0.1",)) -> list[int]:
        """Request each path, the clients taking turns; answers the statuses."""
        turns = [(path, clients[at % len(clients)]) for at, path in enumerate(paths)]
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(self._request, *zip(*turns, strict=True)))
        self.sent += len(statuses)
        return statuses

    def _request(self, path: str, client: str) -> int:
        where = urlsplit(self.url)
        connection = HTTPConnection(
            str(where.hostname), where.port, timeout=30, source_address=(client, 0)
        )
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def wait_until_counted(self) -> None:
        """Wait until every request that was sent is in the metric that counts them all."""
        wait_for(
            f"{self.sent} requests in CloudWatch",
            lambda: self.count("Requests"),
            until=lambda found: found >= self.sent,
            seconds=ARRIVAL_SECONDS,
        )

    def count(self, metric: str) -> float:
        now = datetime.now(UTC)
        answer = self.target.client("cloudwatch").get_metric_statistics(
            Namespace="cruddur",
            MetricName=metric,
            StartTime=now - timedelta(minutes=30),
            EndTime=now + timedelta(minutes=30),
            Period=60,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in answer["Datapoints"]))

    def state(self, alarm: str) -> str:
        return str(self._describe(alarm)["StateValue"])

    def raised(self) -> set[str]:
        """The security alarms that are raised, once all that was sent is counted."""
        self.wait_until_counted()
        found = {name: self._describe(name) for name in ALARMS}
        odd = [one for one in found.values() if one["StateValue"] == "INSUFFICIENT_DATA"]
        assert not odd, odd
        return {name for name, one in found.items() if one["StateValue"] == "ALARM"}

    def _describe(self, alarm: str) -> Any:
        cloudwatch = self.target.client("cloudwatch")
        [found] = cloudwatch.describe_alarms(AlarmNames=[f"cruddur-{alarm}"])["MetricAlarms"]
        return found

    def contributors(self) -> dict[str, float]:
        """What Contributor Insights says of each client."""
        now = datetime.now(UTC)
        report = self.target.client("cloudwatch").get_insight_rule_report(
            RuleName="cruddur-clients",
            StartTime=now - timedelta(minutes=30),
            EndTime=now + timedelta(minutes=30),
            Period=60,
        )
        return {one["Keys"][0]: one["ApproximateAggregateValue"] for one in report["Contributors"]}

    def events(self) -> list[dict[str, Any]]:
        """The access log as CloudWatch has it."""
        logs = self.target.client("logs")
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName="cruddur")
        records = (json.loads(one["message"]) for page in pages for one in page["events"])
        return [one for one in records if "http.response.status_code" in one["attributes"]]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("alarms")
    binary = ensure_collector_binary(ROOT)
    keys = EmulatorSettings()
    with inprocess.running() as emulators:
        aws, xray = emulators.address("aws"), emulators.address("xray")
        target = played.target_of(emulators)
        environment = {
            "XRAY_ENDPOINT": xray,
            "CLOUDWATCH_LOGS_ENDPOINT": aws,
            "AWS_ACCESS_KEY_ID": keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
            "AWS_REGION": REGION,
        }
        with (
            collector.running(binary, folder, environment=environment) as started,
            running_backend(folder, started.otlp, {}, "refusing:app", APPS) as backend,
        ):
            yield Watched(backend.url, folder, backend.console, target, emulators)


@pytest.fixture
def provision(watched: Watched) -> Callable[..., Watched]:
    """Makes an account with periods of that many seconds, at a time that leaves room in one."""

    def make(seconds: int = 300) -> Watched:
        watched.provision(BurstSeconds=seconds)
        wait_for(
            f"{ROOM_SECONDS} s before the next period",
            lambda: time.time() % seconds < seconds - ROOM_SECONDS,
            seconds=ROOM_SECONDS + 5,
        )
        return watched

    return make


def test_what_people_do_raises_nothing(provision: Callable[..., Watched]) -> None:
    # given
    watched = provision()
    # when a few people use the service, mistype an address and leave a field empty
    people = [f"127.1.0.{last}" for last in range(1, 6)]
    statuses = watched.send([*ORDINARY * 20, *[NOT_FOUND, INVALID] * 10], people)
    # then nothing is raised, and what they did is counted
    assert watched.raised() == set()
    assert statuses.count(200) == 100
    counted = {name: watched.count(name) for name in ("NotFound", "Invalid", "Denied", "Probes")}
    assert counted == {"NotFound": 10, "Invalid": 10, "Denied": 0, "Probes": 0}


def test_a_burst_of_one_client_raises_its_kind_and_the_client_and_both_fall_silent_again(
    provision: Callable[..., Watched],
) -> None:
    # given periods of a minute
    watched = provision(60)
    # when one client asks for what is not there, among others who do not
    watched.send([NOT_FOUND] * 110, ["127.1.1.1"])
    watched.send(ORDINARY, ["127.1.1.2"])
    # then
    assert watched.raised() == {"not-found-burst", "one-client"}
    assert watched.count("NotFound") == 110
    assert watched.contributors() == {"127.1.1.1": 110}
    # and when it has stopped, so have the alarms
    for name in ("not-found-burst", "one-client"):
        quiet = wait_for(
            f"{name} to be OK again",
            lambda name=name: watched.state(name),  # type: ignore[misc]
            until=lambda state: state == "OK",
            seconds=150,
            pause=1,
        )
        assert quiet == "OK"


def test_the_same_burst_of_many_clients_is_no_single_ones(
    provision: Callable[..., Watched],
) -> None:
    # given
    watched = provision()
    # when as many requests come from forty clients
    watched.send([NOT_FOUND] * 120, [f"127.1.2.{last}" for last in range(1, 41)])
    # then
    assert watched.raised() == {"not-found-burst"}
    assert set(watched.contributors().values()) == {3}


def test_who_is_refused_again_and_again_is_seen(provision: Callable[..., Watched]) -> None:
    # given
    watched = provision()
    # when
    statuses = watched.send(DENIED * 28, ["127.1.3.1", "127.1.3.2"])
    # then: 56 are more than 50, and 28 of one client are not more than 60
    assert set(statuses) == {401, 403}
    assert watched.raised() == {"denied-burst"}
    assert watched.count("Denied") == 56


def test_requests_that_fail_validation_are_seen(provision: Callable[..., Watched]) -> None:
    # given
    watched = provision()
    # when
    clients = [f"127.1.4.{last}" for last in range(1, 5)]
    statuses = watched.send([INVALID] * 104, clients)
    # then
    assert set(statuses) == {422}
    assert watched.raised() == {"invalid-burst"}
    assert watched.count("Invalid") == 104
    # and by route the embedded metrics have them already, without a filter
    dimensions = {"http.route": INVALID, "http.response.status_code": "422"}
    wait_for(
        "the metric of the route",
        lambda: [
            one
            for one in watched.emulators.metrics("cruddur", "http.server.request.duration")
            if one["dimensions"].items() >= dimensions.items()
        ],
        seconds=ARRIVAL_SECONDS,
    )


def test_probes_are_seen_by_shape_and_their_text_is_in_no_log(
    provision: Callable[..., Watched],
) -> None:
    # given
    watched = provision()
    # when
    watched.send(PROBES * 5, ["127.1.5.1"])
    # then
    assert watched.raised() == {"probes"}
    assert watched.count("Probes") == 25
    events = watched.events()
    assert {one["attributes"].get("security_rule.name") for one in events} == {
        "sql_injection",
        "template_injection",
        "script_injection",
        "path_traversal",
        "scanner",
    }
    assert {one["attributes"]["security_client"] for one in events} == {"127.1.5.1"}
    assert {one["severity_text"] for one in events} == {"WARN"}
    # and no log, wherever it is, has what was sent
    places = (watched.folder / "logs.jsonl", watched.console)
    assert [place for place in places if MARK in place.read_text()] == []
    assert MARK not in json.dumps(events)
    # and its trace is found by its shape
    [span] = wait_for(
        "the trace of a probe",
        lambda: [
            span
            for span in read_spans(watched.folder / "traces.jsonl", events[0]["trace_id"])
            if span.kind == "SERVER"
        ],
        seconds=ARRIVAL_SECONDS,
    )
    shape = events[0]["attributes"]["security_rule.name"]
    assert span.attributes["security_rule.name"] == shape
    wait_for(
        "the trace in X-Ray by its annotation",
        lambda: _traces(watched, f'annotation[security_rule.name] = "{shape}"'),
        until=lambda ids: f"1-{span.trace_id[:8]}-{span.trace_id[8:]}" in ids,
        seconds=ARRIVAL_SECONDS,
    )


def _traces(watched: Watched, expression: str) -> set[str]:
    now = datetime.now(UTC)
    answer = watched.target.client("xray").get_trace_summaries(
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        FilterExpression=expression,
    )
    return {one["Id"] for one in answer["TraceSummaries"]}
