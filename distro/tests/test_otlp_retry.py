"""The exporter that outwaits its collector: its transport alone, then whole, in a process."""

from __future__ import annotations

import email.utils
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.http.transport._base import BaseHTTPResult, BaseHTTPTransport
from otel_stack_distro.otlp_retry.ending import GRACE_SECONDS, Ending
from otel_stack_distro.otlp_retry.losses import Losses
from otel_stack_distro.otlp_retry.transport import RetryingTransport

from stack.settings import ROOT
from stack.waiting import wait_for
from tests.fake_collector import serve_otlp

REFUSES = "http://127.0.0.1:1"
"""Nobody listens on port 1."""


@dataclass(frozen=True, slots=True)
class Answer(BaseHTTPResult):
    retry_after: str | None = None

    def content(self) -> bytes:
        return b""

    def headers(self) -> Mapping[str, str]:
        return {"retry-after": self.retry_after} if self.retry_after else {}


REFUSED = Answer(error=ConnectionRefusedError("Connection refused"))
OK = Answer(status_code=200, reason="OK")


class Scripted(BaseHTTPTransport):
    """Gives the answers in order, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked = 0

    def request(self, *_: Any, **__: Any) -> BaseHTTPResult:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def close(self) -> None:
        pass

    def is_connection_error(self, exception: Exception | None) -> bool:
        return isinstance(exception, OSError)


class Pauses(Ending):
    """Notes how long would be waited, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[float] = []

    def pause(self, seconds: float) -> None:
        self.taken.append(seconds)


def ask(transport: RetryingTransport, timeout: float | None = None) -> BaseHTTPResult:
    return transport.request("POST", "http://collector/v1/traces", timeout=timeout, data=b"x")


def test_it_tries_until_it_is_answered() -> None:
    inner, ending = Scripted(*[REFUSED] * 50, OK), Pauses()
    transport = RetryingTransport(inner, ending)

    result = ask(transport)

    assert result.status_code == 200
    assert inner.asked == 51
    assert max(ending.taken) <= 4.0
    # Full jitter: not all alike, and no growing without end.
    assert len(set(ending.taken)) == 50
    assert not transport.gave_up


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_it_tries_again_what_otlp_calls_retryable(status: int) -> None:
    inner = Scripted(*[Answer(status_code=status)] * 8, OK)

    assert ask(RetryingTransport(inner, Pauses())).status_code == 200


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 500])
def test_it_does_not_repeat_what_is_refused_for_good(status: int) -> None:
    inner = Scripted(Answer(status_code=status), OK)
    transport = RetryingTransport(inner, Pauses())

    assert ask(transport).status_code == status
    assert inner.asked == 1
    assert not transport.gave_up


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("7", 7, 11),
        (email.utils.formatdate(time.time() + 3600, usegmt=True), 30, 34),
        ("86400", 30, 34),
        ("soon", 0, 4),
    ],
    # By place: two workers would make two names of the time.
    ids=["seconds", "a date", "a day", "no time"],
)
def test_it_waits_as_long_as_it_is_asked_to_within_reason(
    header: str, least: float, most: float
) -> None:
    ending = Pauses()

    ask(RetryingTransport(Scripted(Answer(status_code=503, retry_after=header), OK), ending))

    assert least <= ending.taken[0] <= most


class Clock(Pauses):
    """A pause takes its time here, and nothing else does."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        super().pause(seconds)
        self.now += seconds


def test_a_batch_has_its_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("otel_stack_distro.otlp_retry.transport.time", clock)
    inner = Scripted(REFUSED)
    transport = RetryingTransport(inner, clock)

    result = ask(transport, timeout=20)

    assert 0 < sum(clock.taken) <= 20
    # It gave up because the next pause, of four seconds at most, would have been too long.
    assert sum(clock.taken) >= 20 - 4
    assert inner.asked == len(clock.taken) + 1
    assert result.status_code is None
    assert "Connection refused" in str(result.error)
    # Upstream would try again what it takes for a connection that broke.
    assert not transport.is_connection_error(result.error)
    assert transport.gave_up


def test_the_end_of_the_process_wakes_it_and_leaves_it_a_moment() -> None:
    inner, ending = Scripted(Answer(status_code=503, retry_after="30")), Ending(grace=0.4)
    transport = RetryingTransport(inner, ending)
    results: list[BaseHTTPResult] = []
    waiting = threading.Thread(target=lambda: results.append(ask(transport)))
    waiting.start()
    wait_for("the first try, behind which it waits", lambda: inner.asked, seconds=60)

    started = time.monotonic()
    ending.begin()
    waiting.join(60)

    assert 0.3 < time.monotonic() - started < 25
    assert results[0].status_code is None
    # What is left is not tried at all: each would take its time.
    before = inner.asked
    ask(transport)
    assert inner.asked == before


def test_a_collector_that_is_back_at_the_end_gets_everything() -> None:
    inner, ending = Scripted(REFUSED, REFUSED, OK), Ending(grace=60)
    ending.begin()
    transport = RetryingTransport(inner, ending)

    assert [ask(transport).status_code for _ in range(40)] == [200] * 40


def test_one_line_when_it_goes_and_one_when_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "opentelemetry.otlp_retry")
    transport = RetryingTransport(Scripted(*[REFUSED] * 9, OK), Pauses())

    ask(transport)
    ask(transport)

    away, back = (record.getMessage() for record in caplog.records)
    assert away.startswith("http://collector/v1/traces is away (ConnectionRefusedError")
    assert "answers again after" in back


def test_a_connection_that_went_stale_is_worth_no_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "opentelemetry.otlp_retry")

    ask(RetryingTransport(Scripted(REFUSED, OK), Pauses()))

    assert caplog.records == []


def test_losses_are_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    losses = Losses("traces", lambda: now)

    for second in range(121):
        now = float(second)
        losses.add(10, "queue_full")
    losses.say()
    losses.say()

    said = [record.getMessage().split()[0] for record in caplog.records]
    assert said == ["10", "610", "1210"]


# From here on: the whole, with the distro's defaults, in a process of its own.

MAKE_SPANS = """
import http.client, json, logging, sys, time
from opentelemetry import trace
from otel_stack_distro.otlp_retry import ending
from otel_stack_distro.json_logging import configure_logging

configure_logging()
make, wait, ending.of_this_process._grace = json.loads(sys.argv[1])
tracer = trace.get_tracer("test")

def tell(path):
    told = http.client.HTTPConnection(sys.argv[2])
    told.request("GET", path)
    told.getresponse().read()

for number in range(make):
    if number == 512 and sys.argv[2:]:
        tell("/first")
    with tracer.start_as_current_span(f"span {number}"):
        pass
if sys.argv[2:]:
    tell("/made")
    tell("/end")
time.sleep(wait)
print("\\nslept until", time.monotonic(), flush=True)
"""


PATIENT = 60.0
"""A grace, where all is to be delivered: a machine that stalls is no collector that is away."""


def run(
    url: str,
    *,
    make: int,
    wait: float = 0,
    grace: float = GRACE_SECONDS,
    paced: bool = False,
    **environment: str,
) -> tuple[str, float]:
    """What the process printed, and the seconds from its last statement to its end.

    `paced`: it goes on when the first batch has come to the collector, says when all is made, and
    ends when that is enough for the collector.
    """
    bin_folder = Path(sys.executable).parent
    done = subprocess.run(
        [
            str(bin_folder / "opentelemetry-instrument"),
            sys.executable,
            "-c",
            MAKE_SPANS,
            json.dumps([make, wait, grace]),
            *([url.removeprefix("http://")] if paced else []),
        ],
        env={
            "OTEL_SERVICE_NAME": "test",
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": f"{max(4, grace):g}",
            "PATH": f"{bin_folder}{os.pathsep}{os.defpath}",
            "PYTHONPATH": str(ROOT / "distro/src"),
            **environment,
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    ended = time.monotonic()
    # The clock is the machine's.
    [slept_until] = re.findall(r"^slept until (\S+)$", done.stdout, re.MULTILINE)
    return done.stdout + done.stderr, ended - float(slept_until)


def test_more_failures_than_the_sdk_stands_cost_nothing() -> None:
    with serve_otlp() as collector:
        collector.script = [503] * 8

        run(
            collector.url,
            make=700,
            wait=2,
            grace=PATIENT,
            OTEL_LOGS_EXPORTER="none",
            OTEL_METRICS_EXPORTER="none",
        )

    assert sorted(collector.spans) == sorted(f"span {number}" for number in range(700))


def test_everything_is_delivered_at_exit() -> None:
    with serve_otlp() as collector:
        _, seconds = run(collector.url, make=5000, wait=0, grace=PATIENT)

    assert len(set(collector.spans)) == len(collector.spans) == 5000
    assert seconds < 25


@pytest.mark.parametrize("hangs", [False, True])
def test_without_a_collector_it_ends_in_time_and_says_what_is_lost(hangs: bool) -> None:
    with serve_otlp() as collector:
        collector.hangs = hangs
        said, seconds = run(collector.url if hangs else REFUSES, make=2000, wait=0)

    assert "2000 spans of this process are lost so far" in said
    # 2 s of grace; where it hangs, the 10 s of a try that began before. The SDK alone waits for 30.
    assert seconds < 25


def test_a_full_queue_is_counted() -> None:
    with serve_otlp() as collector:
        # The first batch is on its way, the queue full, the rest dropped. Paced, as the SDK's line
        # comes before it drops: what finds room at that moment, behind a batch that goes, is
        # counted too.
        collector.away = True
        collector.enough = lambda: (
            collector.lost.get(("traces", "queue_full"), 0) + len(collector.spans) >= 5000
        )
        said, _ = run(
            collector.url,
            make=5000,
            grace=PATIENT,
            paced=True,
            OTEL_BSP_MAX_QUEUE_SIZE="1024",
            OTEL_LOGS_EXPORTER="none",
        )

    lost = collector.lost["traces", "queue_full"]
    assert lost + len(collector.spans) == 5000
    assert 1024 < len(collector.spans) <= 1024 + 512
    assert f"{lost} spans of this process are lost so far" in said
    assert said.count("Queue full") == 0


def test_a_refusal_is_counted_and_not_repeated() -> None:
    with serve_otlp() as collector:
        collector.script = [401] * 2
        # At its end the metrics go first: what is refused behind them is in no count.
        collector.enough = lambda: (
            collector.lost.get(("traces", "refused"), 0) + len(collector.spans) >= 600
        )
        said, _ = run(collector.url, make=600, grace=PATIENT, paced=True, OTEL_LOGS_EXPORTER="none")

    assert collector.lost["traces", "refused"] + len(collector.spans) == 600
    assert said.count("401") <= 2


def test_a_healthy_service_has_no_series_of_losses() -> None:
    with serve_otlp() as collector:
        run(collector.url, make=100, wait=2, grace=PATIENT, OTEL_LOGS_EXPORTER="none")

    assert len(collector.spans) == 100
    assert collector.metrics == set()
