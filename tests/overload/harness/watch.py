"""While something goes on: a healthy sender, and the collector's memory."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil
import requests
import yaml

from stack.waiting import wait_for
from tests.faults.harness.bench import Bench
from tests.faults.harness.running import TICK_SECONDS, RunningTime
from tests.overload.harness.wire import attribute, span, text
from tests.overload.harness.wire import field as proto_field

EVERY_SECONDS = 0.05
SLOWEST_SECONDS = 2.5
"""Of a small batch while a bomb goes on, beside what the machine itself takes, by pausing or by
having no core: starved is 60 s."""

AFTERWARDS = 25

MEGABYTE = 1024 * 1024


def memory_bound(bench: Bench) -> int:
    """Bytes resident: twice the heap that memory_limiter grants (its comment says why)."""
    limit = yaml.safe_load(bench.config)["processors"]["memory_limiter"]["limit_mib"]
    return 2 * int(limit) * MEGABYTE


def small_batch(trace: bytes) -> bytes:
    """Ten spans of one trace, from the backend."""
    resource = proto_field(1, proto_field(1, attribute(b"service.name", text(b"backend-flask"))))
    spans = b"".join(
        proto_field(2, span(proto_field(9, attribute(b"a", text(b"b"))), name=b"ok", trace=trace))
        for _ in range(10)
    )
    return proto_field(1, resource + proto_field(2, spans))


def fresh_trace() -> bytes:
    """An id that X-Ray takes: it begins with the time."""
    return int(time.time()).to_bytes(4, "big") + time.time_ns().to_bytes(12, "big")


@dataclass
class Seen:
    """`answers`: status, or what went wrong, and seconds of each small batch, but for those that
    the collector had no core for. `peak`: bytes.
    """

    answers: list[tuple[int | str, float]] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    peak: int = 0

    def slowest(self) -> float:
        return max(seconds for _, seconds in self.answers)

    def not_taken(self) -> list[int | str]:
        return [status for status, _ in self.answers if status != 200]


def without_a_core(pid: int) -> dict[str, float]:
    """Seconds that each thread of a process has been ready to run and had no core to run on.

    At a load of 18 on two cores an answer took 3 s beside a million frames, most of it so.
    """
    found = {}
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        # A thread that is gone by now, or the collector.
        with contextlib.suppress(OSError):
            found[file.parent.name] = int(file.read_text().split()[1]) / 1e9
    return found


class Watch:
    """Posts a small batch every 50 ms and looks at the collector's memory as often."""

    def __init__(self, bench: Bench) -> None:
        self.seen = Seen()
        self._bench = bench
        self._pid = bench.collector_pid
        self._end = threading.Event()
        self._clock = RunningTime()
        self._threads = [threading.Thread(target=work) for work in (self._post, self._look)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # What a bomb leaves behind (garbage, queues) is to be seen too.
        if kind is None:
            before = len(self.seen.answers)
            wait_for(
                "the healthy sender's next batches",
                lambda: len(self.seen.answers) - before,
                until=lambda answers: answers >= AFTERWARDS,
                seconds=60,
            )
        self._end.set()
        for thread in self._threads:
            thread.join()

    def seconds(self) -> float:
        """Of running time, since it was entered."""
        return self._clock.seconds

    def check(self) -> None:
        """It lives, it served, it stayed small."""
        seen = self.seen
        assert psutil.Process(self._pid).status() != psutil.STATUS_ZOMBIE, "the collector ended"
        assert seen.answers
        refused = seen.not_taken()
        assert not refused, f"{len(refused)} of {len(seen.answers)}: {set(refused)}"
        assert seen.slowest() < SLOWEST_SECONDS
        assert seen.peak < memory_bound(self._bench), f"{seen.peak / MEGABYTE:.0f} MiB"

    def _post(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while not self._end.wait(EVERY_SECONDS):
                trace = fresh_trace()
                before = without_a_core(self._pid)
                started = self.seconds()
                status: int | str
                try:
                    status = session.post(
                        f"{self._bench.otlp_url}/v1/traces",
                        data=small_batch(trace),
                        headers={"Content-Type": "application/x-protobuf"},
                        timeout=30,
                    ).status_code
                except requests.RequestException as failed:
                    status = repr(failed)
                seconds = self.seconds() - started
                # Of one thread: what several wait for at once is not theirs twice.
                now = without_a_core(self._pid)
                waited = max((now[one] - before.get(one, 0.0) for one in now), default=0.0)
                self.seen.answers.append((status, seconds - waited))
                if status == 200:
                    self.seen.acknowledged.append(trace.hex())

    def _look(self) -> None:
        process = psutil.Process(self._pid)
        while not self._end.wait(TICK_SECONDS):
            self._clock.tick()
            try:
                self.seen.peak = max(self.seen.peak, process.memory_info().rss)
            except psutil.NoSuchProcess:
                return
