"""Segments as X-Ray SDKs of several languages write them: each arrives, or is counted as it should.

The documents are those of AWS's own guide (the segment document schema) and of SDKs' issues; the
Go tests of collector/build/awsxrayreceiver hold the receiver against the samples of upstream.
"""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from emulators.client import Client
from stack.collector_config.resolved import read
from stack.exporter_log import last_errors
from stack.ledger import Entry, read_intakes, read_ledger
from stack.routes import front_receivers, intakes, routes
from stack.waiting import wait_for
from tests.ports import free_ports
from tests.unit.collector.running import Collector
from tests.unit.fragments.delivery import SOON, collector_with, fragment
from tests.unit.fragments.migrating import vendors_of

pytestmark = pytest.mark.collector

HEADER = '{"format": "json", "version": 1}\n'
ACCEPTED, REFUSED, IN_PROGRESS = "accepted", "refused", "in progress"
ABSENT: dict[str, Any] = {"end_time": None}


def subsegment(**changes: Any) -> dict[str, Any]:
    now = time.time()
    return {
        "id": secrets.token_hex(8),
        "name": "db@host",
        "namespace": "remote",
        "start_time": now - 0.1,
        "end_time": now,
        **changes,
    }


# What a segment has beside a name, ids and times, and what becomes of it.
SEGMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "plain": ({}, ACCEPTED),
    "a start as integer": ({"start_time": int(time.time()) - 1}, ACCEPTED),
    "members that nobody knows": ({"inferred": True, "foo": {"bar": 1}}, ACCEPTED),
    "annotations of all types": (
        {"annotations": {"a": 1, "b": 1.5, "c": True, "d": "x", "e": None, "f": [1], "g-h i": "y"}},
        ACCEPTED,
    ),
    "51 annotations": ({"annotations": {f"k{at}": at for at in range(51)}}, ACCEPTED),
    "a cause by its id": ({"fault": True, "cause": secrets.token_hex(8)}, ACCEPTED),
    "an exception without a type": (
        {
            "fault": True,
            "cause": {"exceptions": [{"id": secrets.token_hex(8), "message": "m"}]},
        },
        ACCEPTED,
    ),
    "an exception with half of a stack": (
        {
            "fault": True,
            "cause": {
                "exceptions": [
                    {
                        "id": secrets.token_hex(8),
                        "message": "m",
                        "type": "T",
                        "stack": [{"path": "a.py", "line": 1, "label": "f"}, {"path": "b.py"}],
                    }
                ]
            },
        },
        ACCEPTED,
    ),
    "metadata with nulls": (
        {"metadata": {"default": None, "n": {"a": {"b": [1, None]}}}},
        ACCEPTED,
    ),
    "of an instance": (
        {
            "origin": "AWS::EC2::Instance",
            "aws": {"ec2": {"availability_zone": "us-east-1c", "instance_id": "i-1"}},
        },
        ACCEPTED,
    ),
    "of a log group": ({"aws": {"cloudwatch_logs": [{"log_group": "g", "arn": "a"}]}}, ACCEPTED),
    "a query inside": (
        {
            "subsegments": [
                subsegment(sql={"sanitized_query": "SELECT 1", "database_type": "PostgreSQL"})
            ]
        },
        ACCEPTED,
    ),
    "a name with characters that X-Ray forbids": ({"name": "GET /a?b=c&d={e}"}, ACCEPTED),
    "an end before its start": ({"end_time": time.time() - 9}, ACCEPTED),
    "a subsegment by itself": ({"type": "subsegment", "parent_id": secrets.token_hex(8)}, ACCEPTED),
    "in progress": ({**ABSENT, "in_progress": True}, IN_PROGRESS),
    "without an end": (ABSENT, IN_PROGRESS),
    "a status as text": ({"http": {"response": {"status": "200"}}}, REFUSED),
    "a user as number": ({"user": 7}, REFUSED),
    "an overlong trace id": ({"trace_id": "1-00000000-" + "0" * 40}, REFUSED),
    "times in milliseconds": ({"start_time": time.time() * 1000}, REFUSED),
}
# What X-Ray itself refuses: a dead letter there, and counted as failed.
NOT_OF_X_RAY = ("51 annotations",)
PACKETS = {
    "no header": "garbage",
    "no JSON": HEADER + "{not json",
    "a name alone": HEADER + '{"name": "x"}',
    "a header alone": HEADER,
}


@dataclass(frozen=True)
class Sent:
    trace_id: str
    spans: int
    becomes: str


@dataclass(frozen=True)
class Sender:
    """Sends packets, and knows how many spans of each kind they were."""

    collector: Collector
    emulators: Client

    def send(self, packet: str) -> None:
        port = int(self.collector.environment["XRAY_DAEMON_UDP_PORT"])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.sendto(packet.encode(), ("127.0.0.1", port))

    def segment(self, changes: dict[str, Any], becomes: str = ACCEPTED) -> Sent:
        now = time.time()
        first, rest = f"{int(now):08x}", secrets.token_hex(12)
        document = {
            "name": "shop",
            "id": secrets.token_hex(8),
            "trace_id": f"1-{first}-{rest}",
            "start_time": now - 0.2,
            "end_time": now,
            **changes,
        }
        self.send(HEADER + json.dumps({k: v for k, v in document.items() if v is not None}))
        return Sent(first + rest, 1 + len(document.get("subsegments", ())), becomes)

    def counted(self) -> Counter[str]:
        [found] = [
            one
            for one in read_intakes(self._metrics, intakes(self._config))
            if one.receiver == "awsxray"
        ]
        return Counter(
            {ACCEPTED: found.accepted, REFUSED: found.refused, IN_PROGRESS: found.in_progress}
        )

    def ledger(self) -> dict[str, Entry]:
        """The rows of spans by vendor."""
        receivers = front_receivers(self._config)
        entries = read_ledger(self._metrics, routes(self._config), receivers)
        return {one.vendor: one for one in entries if one.signal == "traces"}

    def held(self, sent: Sent) -> dict[str, list[dict[str, Any]]]:
        return {
            name: self.emulators.holds(name, sent.trace_id).get("traces", [])
            for name in ("xray", "honeycomb")
        }

    @property
    def _config(self) -> dict[str, Any]:
        return read([self.collector.folder / "config.yaml"], self.collector.environment).tree

    @property
    def _metrics(self) -> str:
        return self.collector.url("COLLECTOR_METRICS_PORT") + "/metrics"


@pytest.fixture
def sender(
    binary: Path, every_emulator: Callable[[str], Client], tmp_path: Path
) -> Iterator[Sender]:
    """A collector of its own: counters start at nothing."""
    emulators = every_emulator("none")
    environment = {**vendors_of(emulators), "XRAY_DAEMON_UDP_PORT": str(free_ports(1)[0])}
    with collector_with(binary, tmp_path, fragment("xray-daemon"), environment) as started:
        yield Sender(started, emulators)


def test_what_is_sent_is_accepted_refused_or_in_progress(sender: Sender) -> None:
    sent = {name: sender.segment(*one) for name, one in SEGMENTS.items()}
    for packet in PACKETS.values():
        sender.send(packet)

    expected: Counter[str] = Counter({REFUSED: len(PACKETS)})
    for one in sent.values():
        expected[one.becomes] += one.spans
    counted = wait_for(
        "all segments in the counters",
        sender.counted,
        until=lambda found: found.total() >= expected.total(),
        seconds=SOON,
    )
    assert counted == expected
    wait_for(
        "every accepted span at Honeycomb, X-Ray has those in progress as well",
        sender.ledger,
        until=lambda found: (
            found["honeycomb"].sent == expected[ACCEPTED]
            and found["xray"].sent + found["xray"].failed
            == expected[ACCEPTED] + expected[IN_PROGRESS]
        ),
        seconds=SOON,
    )
    for name, one in sent.items():
        held = sender.held(one)
        assert len(held["honeycomb"]) == (one.spans if one.becomes == ACCEPTED else 0), name
        assert all(span["event"]["duration_ms"] >= 0 for span in held["honeycomb"]), name
        if name not in NOT_OF_X_RAY:
            assert bool(held["xray"]) is (one.becomes != REFUSED), name


def test_twenty_segments_count_as_twenty(sender: Sender) -> None:
    for _ in range(20):
        sender.segment({})

    wait_for(
        "20 segments at Honeycomb",
        sender.ledger,
        until=lambda found: found["honeycomb"].sent == 20,
        seconds=SOON,
    )
    assert sender.counted() == {ACCEPTED: 20, REFUSED: 0, IN_PROGRESS: 0}


def test_a_segment_in_progress_is_shown_by_x_ray_until_its_end_comes(sender: Sender) -> None:
    document = {"id": secrets.token_hex(8), "trace_id": f"1-{int(time.time()):08x}-{'a' * 24}"}
    began = time.time() - 60
    trace_id = document["trace_id"][2:10] + document["trace_id"][11:]
    running = {**document, "start_time": began, **ABSENT, "in_progress": True}
    one = Sent(trace_id, 1, IN_PROGRESS)

    sender.segment(running)

    [segment] = wait_for(
        "the segment at X-Ray", lambda: sender.held(one)["xray"], until=bool, seconds=SOON
    )
    assert segment["in_progress"] is True
    assert "end_time" not in segment

    sender.segment({**document, "start_time": began})

    [span] = wait_for(
        "its end at Honeycomb", lambda: sender.held(one)["honeycomb"], until=bool, seconds=SOON
    )
    assert span["event"]["duration_ms"] == pytest.approx(60_000, abs=10_000)
    assert sender.counted() == {ACCEPTED: 1, REFUSED: 0, IN_PROGRESS: 1}


def test_a_refusal_is_no_exporters_error(sender: Sender) -> None:
    sender.send(PACKETS["no JSON"])

    wait_for(
        "the refusal in the log",
        lambda: sender.collector.log,
        until=lambda text: "Refused a segment" in text,
        seconds=SOON,
    )
    in_trouble = [replace(sender.ledger()["xray"], failed=1)]
    lines = sender.collector.log.splitlines()
    exporters = [line.replace('"receiver"', '"exporter"') for line in lines]
    assert last_errors(lines, in_trouble) == {}
    assert "no JSON" in str(last_errors(exporters, in_trouble))
