"""One case played: traffic, the fault, the collector's own trouble, and who has what then."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from stack.waiting import DeadlineError, wait_for
from tests.faults.cases import STAMPS
from tests.faults.harness.disk import fill, free
from tests.faults.harness.far import TROUBLES
from tests.faults.harness.held import ROUTES, STANDIN, Held, held
from tests.faults.harness.sender import Sender

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from stack.ledger import Entry
    from stack.replay import Letter
    from standins.faults import Mode
    from tests.faults.cases import Case
    from tests.faults.harness.bench import Bench
    from tests.faults.harness.sender import Sent, Windows

SETTLED_SECONDS = 75
"""The longest pause between two tries is 30 s, half of it more by chance, and the SDK's own."""

MET_SECONDS = 30
"""For what usually takes one or two: a busy machine was seen to need 15."""

QUEUE_FILES = {
    "honeycomb": "exporter_otlp_http_honeycomb_*",
    "xray": "exporter_otlp_http_to_xray_*",
    "cloudwatch": "exporter_awscloudwatchlogs_*",
}

Key = tuple[str, str]


@dataclass
class Result:
    """`during` and `end` are the ledger while the vendor was sick, and at last. `broken`: when the
    fault began and ended, of the monotonic clock. `before_spoiling`: what was acknowledged when the
    queue's file was spoiled; `set_aside`: how many spoiled files were kept. `met`: whether anybody
    met the trouble with names or certificates, or was refused for a vendor's clock and brought
    something to it in spite of that.
    """

    case: Case
    sent: Sent
    held: dict[Key, Held] = field(default_factory=dict)
    during: dict[Key, Entry] = field(default_factory=dict)
    before: dict[Key, Entry] = field(default_factory=dict)
    end: dict[Key, Entry] = field(default_factory=dict)
    letters: list[Letter] = field(default_factory=list)
    settled: float = 0.0
    restarts: int = 0
    broken: tuple[float, float] = (0.0, 0.0)
    before_spoiling: frozenset[str] = frozenset()
    set_aside: int = 0
    met: bool = True

    def sick(self, key: Key) -> bool:
        return key[0] == self.case.vendor

    @property
    def well(self) -> Windows:
        """While no vendor was sick."""
        return [(0.0, self.broken[0]), (self.broken[1], math.inf)]

    def counted(self, key: Key) -> int:
        """What the ledger says was lost for this vendor. A restarted collector counts from zero."""
        end, before = self.end[key], self.before[key]
        lost = end.failed + end.dropped
        return lost if self.restarts else lost - before.failed - before.dropped

    def as_json(self) -> dict[str, Any]:
        return {
            "case": asdict(self.case),
            "spans": len(self.sent.spans),
            "records": len(self.sent.records),
            "refused": len(self.sent.refused),
            "p99": self.sent.p99(),
            "p50_sick": self.sent.percentile(50, [self.broken]),
            "p50_well": self.sent.percentile(50, self.well),
            "settled": self.settled,
            "held": {
                "/".join(key): {
                    "wanted": one.wanted,
                    "missing": len(one.missing),
                    "copies": one.copies,
                    "counted": self.counted(key),
                }
                for key, one in self.held.items()
            },
        }


def play(bench: Bench, case: Case) -> Result:
    """Play a case and wait until nothing is on its way any more. Judges nothing."""
    bench.heal()
    bench.client.reset()
    for letter in bench.letters():
        letter.path.unlink()
    for spoiled in bench.queues.glob("*.backup"):
        spoiled.unlink()
    sender = Sender(bench.otlp_url)
    if case.circumstance == "down at start":
        bench.stop()
        _break(bench, case, sender)
        bench.start()
    result = Result(case, sender.sent, before=bench.ledger())
    with sender:
        time.sleep(case.before)
        broke = time.monotonic()
        if case.circumstance != "down at start":
            _break(bench, case, sender)
        # Only now: what came while it was being broken met a vendor that was well.
        since = time.time()
        time.sleep(case.during / 2)
        _happen(bench, result, sender)
        time.sleep(case.during / 2)
        result.during = _told(bench, case)
        if case.mode == "clock":
            result.met = _is_delivered(bench, result, since) and _comes(
                "a signature to be refused", lambda: _was_refused(bench, case)
            )
        if bench.far and case.mode in TROUBLES:
            result.met = _comes("the trouble to be met", bench.far.met)
        if bench.disk and case.circumstance == "full disk":
            free(bench.disk)
        bench.heal()
        sender.clock_ahead = 0
        healed = time.monotonic()
        result.broken = (broke, healed)
        time.sleep(case.after)
    _settle(bench, result)
    result.set_aside = len(list(bench.queues.glob("*.backup")))
    result.settled = time.monotonic() - healed
    return result


def look(bench: Bench, sent: Sent) -> dict[Key, Held]:
    return {key: held(bench.client, sent, *key) for key in ROUTES}


def _break(bench: Bench, case: Case, sender: Sender) -> None:
    standin = STANDIN[case.vendor]
    if case.mode in STAMPS:
        sender.clock_ahead = STAMPS[case.mode]
    elif case.mode in TROUBLES:
        assert bench.far is not None
        bench.far.break_(standin, case.mode)
    else:
        seconds = 5.0 if case.mode == "slow" else None
        mode = cast("Mode", case.mode)
        bench.client.break_(standin, mode, seconds=seconds, retry_after=case.retry_after)


def troubled(case: Case, ledger: Mapping[Key, Entry]) -> int:
    """What of the sick vendor's is queued, failed or dropped."""
    return sum(
        entry.queued + entry.failed + entry.dropped
        for key, entry in ledger.items()
        if key[0] == case.vendor and key in ROUTES
    )


def _told(bench: Bench, case: Case) -> dict[Key, Entry]:
    """The ledger once it tells of the fault. A machine that has just paused sends what is to wait
    only now; a ledger that never tells is for the case to judge.
    """
    told = bench.ledger()
    with contextlib.suppress(DeadlineError):
        if case.ails:
            told = wait_for(
                "the ledger to tell of the fault",
                bench.ledger,
                until=lambda ledger: troubled(case, ledger) > 0,
                seconds=MET_SECONDS,
            )
    return told


def _happen(bench: Bench, result: Result, sender: Sender) -> None:
    match result.case.circumstance:
        case "kill -9":
            bench.kill()
        case "SIGTERM":
            bench.stop()
        case "reload":
            bench.config += "\n"
            bench.stop()
        case "spoiled queue":
            bench.stop()
            # What the collector answered may wait for the sender's thread, and lies in the file.
            stopped = time.monotonic()
            wait_for(
                "the last answers to be noted",
                lambda: sender.has_noted(stopped),
                seconds=MET_SECONDS,
            )
            sent = result.sent
            result.before_spoiling = frozenset(sent.spans | sent.records)
            for file in bench.queues.glob(QUEUE_FILES[result.case.vendor]):
                spoil(file)
        case "full disk":
            assert bench.disk is not None
            fill(bench.disk)
            return
        case _:
            return
    bench.start()
    result.restarts = 1


def _is_delivered(bench: Bench, result: Result, since: float) -> bool:
    """Whether the sick vendor comes to have something acknowledged after `since`, epoch seconds."""

    def found() -> bool:
        late = {name for name, at in result.sent.acknowledged.copy().items() if at > since}
        return any(
            late & names - held(bench.client, result.sent, *key).missing
            for key, names in (
                (key, result.sent.spans if key[1] == "traces" else result.sent.records)
                for key in ROUTES
                if result.sick(key)
            )
        )

    return _comes("something of after the fault's beginning", found)


def _comes(what: str, look: Callable[[], bool]) -> bool:
    """Whether it happens in time: a connection of before the fault may be busy for a while yet."""
    try:
        return wait_for(what, look, seconds=MET_SECONDS, pause=0.3)
    except DeadlineError:
        return False


def _was_refused(bench: Bench, case: Case) -> bool:
    """Whether the sick vendor refused a signature for its time: else no clock was wrong."""
    return any(
        one.get("fault") == case.mode and one["status"] >= HTTPStatus.BAD_REQUEST
        for one in bench.client.requests(STANDIN[case.vendor])
    )


def spoil(file: Path) -> None:
    """What a bad sector does: the file opens, and ends the reader further in."""
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)


def _settle(bench: Bench, result: Result) -> None:
    """Wait until all that was acknowledged is held, or is counted and nothing waits any more."""

    def done() -> bool:
        result.held = look(bench, result.sent)
        result.end = bench.ledger()
        result.letters = bench.letters()
        waiting = sum(result.end[key].queued for key in ROUTES)
        accounted = ids_in(result.letters) | result.before_spoiling
        return not waiting and all(
            one.missing <= accounted if result.sick(key) else not one.missing
            for key, one in result.held.items()
        )

    # What is missing at the deadline is for the case to judge.
    with contextlib.suppress(DeadlineError):
        wait_for("every id to be held or counted", done, seconds=SETTLED_SECONDS, pause=0.5)
    # Its metrics are not read in one moment: what was queued for the first may be counted since.
    result.end = bench.ledger()


def ids_in(letters: list[Letter]) -> set[str]:
    """The ids of everything that dead letters hold, as `Sent` names them."""
    found: set[str] = set()
    for letter in letters:
        if letter.header.signal == "traces":
            request = ExportTraceServiceRequest.FromString(letter.data)
            found.update(
                f"{span.trace_id.hex()}:{span.span_id.hex()}"
                for resource in request.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            )
        elif letter.header.signal == "logs":
            logs = ExportLogsServiceRequest.FromString(letter.data)
            found.update(
                str(record.time_unix_nano // 10**6)
                for resource in logs.resource_logs
                for scope in resource.scope_logs
                for record in scope.log_records
            )
    return found
