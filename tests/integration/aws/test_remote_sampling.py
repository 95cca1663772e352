"""A sampling rule in X-Ray decides what the real service records, by way of the collector's proxy.

X-Ray is the emulator, which verifies the signature that the proxy adds; service, SDK, sampler,
collector with its config, and `make provision` are the real ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from emulators import inprocess
from emulators.aws.settings import Settings as EmulatorSettings
from stack.collector_build import ensure_collector_binary
from stack.provision.account import Target
from stack.settings import ROOT
from stack.telemetry import read_spans
from stack.waiting import wait_for
from tests.integration.harness.backend import running_backend
from tests.integration.harness.traffic import send
from tests.unit.aws.played import provision, target_of
from tests.unit.collector import running as collector

pytestmark = [pytest.mark.collector, pytest.mark.only_native, pytest.mark.timeout(400)]

WORKERS = 2


@dataclass
class Sampled:
    """The backend at `url`, its spans' file, and the account that holds the rule."""

    url: str
    traces: Path
    target: Target
    log: Path

    def rate(self, **change: Any) -> None:
        update = {"SamplingRuleUpdate": {"RuleName": "Cruddur", **change}}
        self.target.client("xray").update_sampling_rule(**update)

    def request(self, count: int) -> float:
        """Send requests that no caller has decided about; return the seconds it took."""
        began = time.monotonic()
        with requests.Session() as session:
            for _ in range(count):
                answer = session.get(f"{self.url}/api/activities/home", timeout=30)
                assert answer.status_code == 200, self.log.read_text()
        return time.monotonic() - began

    def recorded(self) -> int:
        """Count the root spans of the backend, once nothing more arrives."""
        seen = -1

        def settled() -> bool:
            nonlocal seen
            before, seen = seen, self._count()
            return before == seen

        # The SDK sends twice a second, the collector writes ten times.
        wait_for("the last span", settled, seconds=60, pause=1.5)
        return seen

    def _count(self) -> int:
        if not self.traces.exists():
            return 0
        spans = read_spans(self.traces)
        return sum(1 for span in spans if span.kind == "SERVER" and not span.parent_id)

    def share(self, count: int) -> float:
        """Send requests, and say what part of them was recorded."""
        before = self.recorded()
        self.request(count)
        return (self.recorded() - before) / count


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sampled]:
    folder = tmp_path_factory.mktemp("sampling")
    binary = ensure_collector_binary(ROOT)
    keys = EmulatorSettings()
    with inprocess.running() as emulators:
        target = target_of(emulators)
        provision(target)
        environment = {
            "XRAY_ENDPOINT": emulators.address("xray"),
            "AWS_ACCESS_KEY_ID": keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
            "AWS_REGION": "eu-west-1",
        }
        with collector.running(binary, folder, environment=environment) as started:
            backend = {
                "OTEL_METRICS_EXPORTER": "none",
                "OTEL_LOGS_EXPORTER": "none",
                "OTEL_TRACES_SAMPLER": "xray_remote",
                "OTEL_TRACES_SAMPLER_ARG": (
                    f"endpoint={started.url('AWSPROXY_PORT')},polling_interval=1"
                ),
                "WEB_CONCURRENCY": str(WORKERS),
            }
            with running_backend(folder, started.otlp, backend) as served:
                yield Sampled(served.url, folder / "traces.jsonl", target, served.console)


def test_200_requests_honour_the_reservoir_and_the_rate_of_cruddur(sampled: Sampled) -> None:
    # given Cruddur's rule, as `make provision` made it, and workers that have their quotas
    sampled.request(20)
    wait_for("quotas", lambda: _clients(sampled) >= WORKERS, seconds=60)
    before = sampled.recorded()
    # when 200 requests come
    seconds = sampled.request(200)
    # then the reservoir's five a second and a tenth of the rest are recorded. At most the workers
    # hold 5 + 2 a second between two reports, with a second saved up; 17 is 4 standard deviations.
    count = sampled.recorded() - before
    reservoir = 7 * (seconds + 1)
    assert 0.1 * 200 - 17 <= count <= reservoir + 0.1 * (200 - reservoir) + 17


def test_a_changed_rule_is_followed_while_the_service_runs(sampled: Sampled) -> None:
    # given a rule that is changed to record everything
    sampled.rate(FixedRate=1.0, ReservoirSize=0)
    wait_for("all is recorded", lambda: sampled.share(20), until=lambda s: s == 1.0, seconds=100)
    # when it is changed to record nothing
    sampled.rate(FixedRate=0.0, ReservoirSize=0)
    # then the same workers record nothing, and everything again after the next change
    wait_for("none is recorded", lambda: sampled.share(20), until=lambda s: s == 0.0, seconds=100)
    sampled.rate(FixedRate=1.0, ReservoirSize=0)
    wait_for("all again", lambda: sampled.share(20), until=lambda s: s == 1.0, seconds=100)


@pytest.mark.parametrize("caller_sampled", [True, False])
def test_what_the_caller_decided_holds(sampled: Sampled, caller_sampled: bool) -> None:
    # given a rule that says the opposite
    sampled.rate(FixedRate=0.0 if caller_sampled else 1.0, ReservoirSize=0)
    wanted = 0.0 if caller_sampled else 1.0
    wait_for("the rule", lambda: sampled.share(20), until=lambda s: s == wanted, seconds=100)
    # when a caller that decided already sends a request
    exchange = send(f"{sampled.url}/api/activities/home", sampled=caller_sampled)
    # then its decision holds
    if caller_sampled:
        wait_for("its spans", lambda: read_spans(sampled.traces, exchange.trace_id), seconds=60)
    else:
        sampled.recorded()
        assert read_spans(sampled.traces, exchange.trace_id) == []


def test_the_polls_are_no_traces_of_their_own(sampled: Sampled) -> None:
    # given a service that has polled many times while everything was recorded
    names = {span.name for span in read_spans(sampled.traces)}
    # then no span is about it
    assert not [name for name in names if "amplingRules" in name or "amplingTargets" in name]
    assert not [span for span in read_spans(sampled.traces) if span.name == "POST"]


def _clients(sampled: Sampled) -> int:
    """Count the reports of statistics: each of the workers sends its first after a second."""
    sampled.request(4)
    summaries = sampled.target.client("xray").get_sampling_statistic_summaries()
    return len(summaries["SamplingStatisticSummaries"])
