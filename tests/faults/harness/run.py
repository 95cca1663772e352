"""One case played: traffic, the fault, the collector's own trouble, and who has what then."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from stack.waiting import DeadlineError, wait_for
from tests.faults.harness.held import ROUTES, STANDIN, Held, held
from tests.faults.harness.sender import Sender

if TYPE_CHECKING:
    from stack.ledger import Entry
    from stack.replay import Letter
    from tests.faults.cases import Case
    from tests.faults.harness.bench import Bench
    from tests.faults.harness.sender import Sent

SETTLED_SECONDS = 75
"""The longest pause between two tries is 30 s, half of it more by chance, and the SDK's own."""

Key = tuple[str, str]


@dataclass
class Result:
    """`at_heal` and `end` are what the ledger gained since the case began."""

    case: Case
    sent: Sent
    quiet_p99: float
    held: dict[Key, Held] = field(default_factory=dict)
    during: dict[Key, Entry] = field(default_factory=dict)
    before: dict[Key, Entry] = field(default_factory=dict)
    end: dict[Key, Entry] = field(default_factory=dict)
    letters: list[Letter] = field(default_factory=list)
    settled: float = 0.0
    restarts: int = 0

    def sick(self, key: Key) -> bool:
        return key[0] == self.case.vendor

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
            "quiet_p99": self.quiet_p99,
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


def play(bench: Bench, case: Case, quiet_p99: float) -> Result:
    """Play a case and wait until nothing is on its way any more. Judges nothing."""
    bench.client.heal()
    bench.client.reset()
    for letter in bench.letters():
        letter.path.unlink()
    standin = STANDIN[case.vendor]
    if case.circumstance == "down at start":
        bench.stop()
        _break(bench, case, standin)
        bench.start()
    sender = Sender(bench.otlp_url)
    result = Result(case, sender.sent, quiet_p99, before=bench.ledger())
    with sender:
        time.sleep(case.before)
        if case.circumstance != "down at start":
            _break(bench, case, standin)
        time.sleep(case.during / 2)
        result.restarts = _happen(bench, case)
        time.sleep(case.during / 2)
        result.during = bench.ledger()
        bench.client.heal()
        healed = time.monotonic()
        time.sleep(case.after)
    _settle(bench, result)
    result.settled = time.monotonic() - healed
    return result


def look(bench: Bench, sent: Sent) -> dict[Key, Held]:
    return {key: held(bench.client, sent, *key) for key in ROUTES}


def _break(bench: Bench, case: Case, standin: str) -> None:
    seconds = 5.0 if case.mode == "slow" else None
    bench.client.break_(standin, case.mode, seconds=seconds, retry_after=case.retry_after)


def _happen(bench: Bench, case: Case) -> int:
    match case.circumstance:
        case "kill -9":
            bench.kill()
        case "SIGTERM":
            bench.stop()
        case "reload":
            bench.config += "\n"
            bench.stop()
        case _:
            return 0
    bench.start()
    return 1


def _settle(bench: Bench, result: Result) -> None:
    """Wait until all that was acknowledged is held, or is counted and nothing waits any more."""

    def done() -> bool:
        result.held = look(bench, result.sent)
        result.end = bench.ledger()
        result.letters = bench.letters()
        waiting = sum(result.end[key].queued for key in ROUTES)
        in_letters = ids_in(result.letters)
        return not waiting and all(
            one.missing <= in_letters if result.sick(key) else not one.missing
            for key, one in result.held.items()
        )

    # What is missing at the deadline is for the case to judge.
    with contextlib.suppress(DeadlineError):
        wait_for("every id to be held or counted", done, seconds=SETTLED_SECONDS, pause=0.5)


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
