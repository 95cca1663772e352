"""One case played: traffic, the fault, the collector's own trouble, and who has what then."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

from emulators.core.faults import Mode
from emulators.core.otlp import Signal, decode
from stack.ledger import Entry
from stack.replay import Letter
from stack.waiting import DeadlineError, wait_for
from tests.faults.cases import STAMPS, Case
from tests.faults.harness.bench import Bench
from tests.faults.harness.disk import fill, free
from tests.faults.harness.far import TROUBLES
from tests.faults.harness.held import EMULATOR, ROUTES, Held, held
from tests.faults.harness.ids import ids_of
from tests.faults.harness.sender import Sender, Sent, Windows

SETTLED_SECONDS = 75
"""The longest pause between two tries is 30 s, half of it more by chance, and the SDK's own."""

MET_SECONDS = 30
"""For what usually takes one or two: a busy machine was seen to need 15."""

QUEUE_FILES = {
    "honeycomb": ("exporter_otlp_http_honeycomb_*",),
    "xray": ("exporter_awsxray_*",),
    "cloudwatch": ("exporter_awscloudwatchlogs_*", "exporter_awsemf_*"),
}

Key = tuple[str, str]


@dataclass
class Result:
    """`during` and `end` are the ledger while the vendor was sick, and at last. `broken`: when the
    fault began and ended, of the monotonic clock. `before_spoiling`: what was acknowledged when so
    many queues' files were `spoiled`; `set_aside`: how many spoiled files were kept. `met`: whether
    anybody met the trouble with names or certificates, or was refused for a vendor's clock and
    brought something of each signal to it in spite of that.
    """

    case: Case
    sent: Sent
    held: dict[Key, Held] = field(default_factory=dict)
    during: dict[Key, Entry] = field(default_factory=dict)
    before: dict[Key, Entry] = field(default_factory=dict)
    end: dict[Key, Entry] = field(default_factory=dict)
    letters: list[Letter] = field(default_factory=list)
    in_letters: frozenset[str] = frozenset()
    settled: float = 0.0
    restarts: int = 0
    broken: tuple[float, float] = (0.0, 0.0)
    before_spoiling: frozenset[str] = frozenset()
    spoiled: int = 0
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

    def accounted(self, key: Key) -> frozenset[str]:
        """What may be missing at this vendor: what waited in files that were spoiled, or what lies
        in dead letters. What was refused before a restart is in no counter any more.
        """
        if not self.sick(key) or self.case.outcome == "all":
            return frozenset()
        if self.case.outcome == "set aside":
            return self.before_spoiling
        return self.in_letters

    def lost(self, key: Key) -> int:
        """How many are missing that nobody accounts for. Where no restart has cleared the counters,
        those too that are kept in dead letters and not counted.
        """
        missing = self.held[key].missing
        silent = len(missing - self.accounted(key))
        refused = self.sick(key) and self.case.outcome in {"letters", "refused"}
        if refused and not self.restarts:
            return max(silent, len(missing) - self.counted(key))
        return silent

    def as_json(self) -> dict[str, Any]:
        return {
            "case": asdict(self.case),
            "acknowledged": {signal: len(ids) for signal, ids in self.sent.ids.items()},
            "refused": len(self.sent.refused),
            "p99": self.sent.p99(),
            "p50_sick": self.sent.percentile(50, [self.broken]),
            "p50_well": self.sent.percentile(50, self.well),
            "settled": self.settled,
            "held": {
                "/".join(key): {
                    "wanted": one.wanted,
                    "missing": len(one.missing),
                    "lost": self.lost(key),
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
    emulator = EMULATOR[case.vendor]
    if case.mode in STAMPS:
        sender.clock_ahead = STAMPS[case.mode]
    elif case.mode in TROUBLES:
        assert bench.far is not None
        bench.far.break_(emulator, case.mode)
    else:
        seconds = 5.0 if case.mode == "slow" else None
        mode = cast("Mode", case.mode)
        bench.client.break_(emulator, mode, seconds=seconds, retry_after=case.retry_after)


def untroubled(case: Case, ledger: Mapping[Key, Entry]) -> list[str]:
    """The sick vendor's signals of which nothing is queued, failed or dropped."""
    return [
        key[1]
        for key in ROUTES
        if key[0] == case.vendor
        if not ledger[key].queued + ledger[key].failed + ledger[key].dropped
    ]


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
                until=lambda ledger: not untroubled(case, ledger),
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
            result.before_spoiling = frozenset().union(*result.sent.ids.values())
            for pattern in QUEUE_FILES[result.case.vendor]:
                for file in bench.queues.glob(pattern):
                    spoil(file)
                    result.spoiled += 1
        case "full disk":
            assert bench.disk is not None
            fill(bench.disk)
            return
        case _:
            return
    bench.start()
    result.restarts = 1


def _is_delivered(bench: Bench, result: Result, since: float) -> bool:
    """Whether the sick vendor comes to have something of each signal that was acknowledged after
    `since`, epoch seconds.
    """

    def found() -> bool:
        late = {name for name, at in result.sent.acknowledged.copy().items() if at > since}
        return all(
            late & result.sent.ids[key[1]] - held(bench.client, result.sent, *key).missing
            for key in ROUTES
            if result.sick(key)
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
        for one in bench.client.requests(EMULATOR[case.vendor])
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
        result.in_letters = ids_in(result.letters)
        waiting = sum(result.end[key].queued for key in ROUTES)
        return not waiting and all(
            one.missing <= result.accounted(key) for key, one in result.held.items()
        )

    # What is missing at the deadline is for the case to judge.
    with contextlib.suppress(DeadlineError):
        wait_for("every id to be held or counted", done, seconds=SETTLED_SECONDS, pause=0.5)
    # Its metrics are not read in one moment: what was queued for the first may be counted since.
    result.end = bench.ledger()


def ids_in(letters: list[Letter]) -> frozenset[str]:
    """The ids of everything that dead letters hold, as `Sent` names them. A letter goes once it is
    sent again.
    """
    return frozenset(
        name
        for letter in letters
        for name in ids_of(decode(cast("Signal", letter.header.signal), "protobuf", letter.data))
    )
