"""Metrics across CloudWatch's troubles: each data point counts once, in every stream.

The table's senders name what they send, and metrics have no names: CloudWatch adds them up. So they
are counted here, differences of two services in each request, as several services' exports are
batched.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import pytest
import requests

from stack.replay import send_again
from stack.waiting import wait_for

if TYPE_CHECKING:
    from standins.client import Client
    from standins.faults import Mode
    from tests.faults.harness.bench import Bench

pytestmark = [pytest.mark.collector, pytest.mark.only_native]

NAME = "faults.points"
SERVICES = ("backend-flask", "profiles-flask", "orders-flask")
REQUESTS_PER_SECOND = 20
SENT_SECONDS = 6.0
SICK_SECONDS = 3.0
SETTLED_SECONDS = 75
TOLD_SECONDS = 30
CRASH = 0.3
"""Of what is owed may count twice after a crash, as in the table."""


def export(number: int) -> dict[str, Any]:
    now = time.time_ns()
    point = {
        "asInt": "1",
        "startTimeUnixNano": str(now - 10**9),
        "timeUnixNano": str(now),
        "attributes": [{"key": "number", "value": {"intValue": str(number)}}],
    }
    total = {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [point]}
    return {
        "resourceMetrics": [
            {
                "resource": {
                    "attributes": [{"key": "service.name", "value": {"stringValue": service}}]
                },
                "scopeMetrics": [{"metrics": [{"name": NAME, "sum": total}]}],
            }
            for service in SERVICES
        ]
    }


class Feeding:
    """Sends until it is left; what the collector is away for is sent again."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/metrics"
        self._end = threading.Event()
        self._pool = ThreadPoolExecutor(4)
        self._pacer = threading.Thread(target=self._pace)
        self.sent = 0

    def __enter__(self) -> Self:
        self._pacer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._pacer.join()
        self._pool.shutdown()

    def _pace(self) -> None:
        begun = time.monotonic()
        answers: list[Future[bool]] = []
        while not self._end.wait(
            max(0.0, begun + len(answers) / REQUESTS_PER_SECOND - time.monotonic())
        ):
            answers.append(self._pool.submit(self._send, export(len(answers))))
        self.sent = sum(answer.result() for answer in answers)

    def _send(self, body: dict[str, Any]) -> bool:
        def taken() -> bool:
            return requests.post(self._url, json=body, timeout=10).ok

        return wait_for("an export to be taken", taken, seconds=30)


def counted(client: Client) -> dict[str, float]:
    """By service, what CloudWatch adds up; and what Honeycomb has."""
    found = dict.fromkeys(SERVICES, 0.0)
    for point in client.metrics(namespace="cruddur", name=NAME):
        if list(point["dimensions"]) == ["service.name"]:
            found[point["dimensions"]["service.name"]] += sum(
                value * times for value, times in point["values"]
            )
    return {**found, "honeycomb": client.ids("honeycomb", "metrics").get(NAME, 0)}


@pytest.mark.parametrize(
    ("mode", "circumstance"),
    [
        pytest.param("503", "steady"),
        pytest.param("503", "SIGTERM"),
        *[
            pytest.param(mode, circumstance, marks=pytest.mark.long)
            for mode, circumstance in (
                ("hang", "steady"),
                ("refuse", "steady"),
                ("reset", "steady"),
                ("slow", "steady"),
                ("403", "steady"),
                ("429", "steady"),
                ("500", "steady"),
                ("503", "kill -9"),
                ("refuse", "SIGTERM"),
                ("429", "kill -9"),
            )
        ],
    ],
)
def test_each_data_point_counts_once(bench: Bench, mode: Mode, circumstance: str) -> None:
    # given
    bench.heal()
    bench.client.reset()
    # when CloudWatch is away for some of the exports
    with Feeding(bench.otlp_url) as feeding:
        time.sleep((SENT_SECONDS - SICK_SECONDS) / 2)
        bench.client.break_("aws", mode, seconds=5.0 if mode == "slow" else None)
        time.sleep(SICK_SECONDS / 2)
        if circumstance != "steady":
            bench.kill() if circumstance == "kill -9" else bench.stop()
            bench.start()
        time.sleep(SICK_SECONDS / 2)
        wait_for(
            "data points to wait",
            lambda: bench.ledger()["cloudwatch", "metrics"].queued,
            seconds=TOLD_SECONDS,
        )
        bench.heal()
        time.sleep((SENT_SECONDS - SICK_SECONDS) / 2)
    # then everybody has everything, and nothing comes after it
    sent = feeding.sent
    assert sent > SENT_SECONDS * REQUESTS_PER_SECOND / 2
    wanted = {**dict.fromkeys(SERVICES, sent), "honeycomb": len(SERVICES) * sent}

    def settled() -> dict[str, float]:
        found = counted(bench.client)
        waits = bench.ledger()["cloudwatch", "metrics"].queued
        return {} if waits else found

    found = wait_for(
        "every data point to be counted",
        settled,
        until=lambda found: bool(found) and all(found[who] >= wanted[who] for who in wanted),
        seconds=SETTLED_SECONDS,
        pause=0.3,
    )
    if circumstance == "kill -9":
        # What was on its way to anybody.
        assert all(found[who] <= (1 + CRASH) * wanted[who] for who in wanted), (found, wanted)
    else:
        assert found == wanted


def test_what_is_refused_for_good_is_counted_and_comes_by_replay(bench: Bench) -> None:
    # given
    bench.heal()
    bench.client.reset()
    # An earlier test of this bench may have left some: the table's are counted, not sent again.
    for letter in bench.letters():
        letter.path.unlink()
    before = bench.ledger()["cloudwatch", "metrics"]
    # when CloudWatch refuses for good what comes in three of six seconds
    with Feeding(bench.otlp_url) as feeding:
        time.sleep((SENT_SECONDS - SICK_SECONDS) / 2)
        bench.client.break_("aws", "400")
        time.sleep(SICK_SECONDS)
        bench.heal()
        time.sleep((SENT_SECONDS - SICK_SECONDS) / 2)
    owed = len(SERVICES) * feeding.sent

    def accounted() -> tuple[float, int]:
        """At CloudWatch, and counted as failed."""
        found = counted(bench.client)
        failed = bench.ledger()["cloudwatch", "metrics"].failed - before.failed
        return sum(found[service] for service in SERVICES), failed

    # then each data point is there, or counted and kept
    arrived, failed = wait_for(
        "every data point to be accounted for",
        accounted,
        until=lambda seen: sum(seen) >= owed,
        seconds=SETTLED_SECONDS,
    )
    letters = [one for one in bench.letters() if one.vendor == "cloudwatch"]
    assert failed > 0
    assert arrived + failed == owed
    assert sum(one.header.refused for one in letters) == failed
    # and comes when it is asked for
    send_again(letters)
    found = wait_for(
        "the rest",
        lambda: counted(bench.client),
        until=lambda found: all(found[service] >= feeding.sent for service in SERVICES),
        seconds=SETTLED_SECONDS,
    )
    assert found == {
        **dict.fromkeys(SERVICES, feeding.sent),
        "honeycomb": len(SERVICES) * feeding.sent,
    }
