"""One trace, one metric, one log record through the stack, and who got them.

From the app: a request of our own, and one of each signal straight to the collector. From the page:
a click as a browser sends it, which is one trace through every service; a vendor has it once it has
every span of it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from emulators.client import Client, EmulatorError
from stack import otlp_json, page_visit
from stack.applied_config import applied_config
from stack.asking import UnreachableError
from stack.errors import StackError
from stack.ledger import Entry, read_ledger
from stack.routes import LOCAL_RECORD, SIGNALS, Route, front_receivers, routes
from stack.services import PAGE, Plan
from stack.telemetry import RECORD, Span, read_spans, size
from stack.traced_request import get_in_trace
from stack.vendors import Vendor

ERRORS = "errors"
"""What Rollbar gets; it comes from the app, not through the collector."""


HOME = "/api/activities/home"
ROLLBAR_TEST = "/rollbar/test"

PAUSE_SECONDS = 0.1


class Start(StrEnum):
    """Where what is sent begins."""

    APP = "app"
    PAGE = "page"


@dataclass(frozen=True)
class Delivery:
    """`state`: `arrived`, `missing` or `rejected`. `seconds`: from sending to arrival.

    `by`: how it is known, for example what the emulator holds. `why`: what the vendor said, or what
    the trace lacks.
    """

    vendor: str
    signal: str
    state: str
    seconds: float | None
    by: str
    why: str = ""


@dataclass(frozen=True)
class Report:
    """`steps`: the trace of a click, a span each with its depth; empty when it began in the app.

    `untried`: vendors that could not be asked, and why. `pages`: where a person sees the trace, by
    live vendor.
    """

    trace_id: str
    deliveries: tuple[Delivery, ...]
    steps: tuple[Step, ...] = ()
    untried: Mapping[str, str] = field(default_factory=dict)
    pages: Mapping[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return all(delivery.state == "arrived" for delivery in self.deliveries)


@dataclass(frozen=True)
class Step:
    """A span of a trace; `depth` is 0 at its root."""

    depth: int
    service: str
    name: str


def verify(
    plan: Plan,
    deadline: float,
    show: Callable[[Sequence[Delivery]], None] = lambda _: None,
    start: Start = Start.APP,
) -> Report:
    """Send one of each signal under a fresh trace id, and wait until every vendor has it.

    `show` is called with what is known so far each time something arrives. Raises StackError when
    the collector, the app or the page does not take what is sent.
    """
    trace_id = secrets.token_hex(16)
    config = applied_config(plan)
    clicked = _Click(plan, config, trace_id) if start is Start.PAGE else None
    witnesses = list(_witnesses(plan, config, trace_id, clicked))
    started = time.monotonic()
    if clicked:
        clicked.send()
    else:
        _send(plan, trace_id)
    waiting = {
        (witness.vendor, witness.signal): Delivery(
            witness.vendor, witness.signal, "missing", None, witness.by
        )
        for witness in witnesses
    }
    while time.monotonic() - started < deadline:
        for witness in witnesses:
            key = (witness.vendor, witness.signal)
            if waiting[key].state != "arrived" and witness.arrived():
                waiting[key] = replace(
                    waiting[key], state="arrived", seconds=time.monotonic() - started, why=""
                )
                show(list(waiting.values()))
        if all(delivery.state == "arrived" for delivery in waiting.values()):
            break
        if all(
            waiting[(witness.vendor, witness.signal)].state == "arrived" or witness.final_no()
            for witness in witnesses
        ):
            break  # what is missing was refused for good: waiting changes nothing
        time.sleep(PAUSE_SECONDS)
    for witness in witnesses:
        key = (witness.vendor, witness.signal)
        if waiting[key].state != "arrived":
            said = witness.reason()
            lacks = clicked.lacking() if clicked and witness.signal == "traces" else ""
            state = "rejected" if said else "missing"
            waiting[key] = replace(waiting[key], state=state, why=said or lacks)
    steps = tuple(_steps(clicked.spans)) if clicked else ()
    live = (vendor for vendor in plan.vendors if vendor.live)
    pages = {vendor.name: vendor.page_of(trace_id) for vendor in live if vendor.page_of}
    return Report(trace_id, tuple(waiting.values()), steps, dict(untried(plan)), pages)


class _Click:
    """A click on the page, and its trace as the local record has it.

    Where the config keeps no record of traces, the page's own spans stand for the trace.
    """

    def __init__(self, plan: Plan, config: Mapping[str, object], trace_id: str) -> None:
        self._plan = plan
        self._trace_id = trace_id
        self._record = plan.telemetry_dir / RECORD["traces"]
        self._offset = size(self._record)
        self._recorded = any(
            (route.vendor, route.signal) == (LOCAL_RECORD, "traces") for route in routes(config)
        )
        self._page = page_visit.open_page(plan)
        # The services that a click passes, besides the database.
        self._through = frozenset({PAGE, *plan.service_names.values()})
        self._own: frozenset[str] = frozenset()
        self.spans: list[Span] = []

    def send(self) -> None:
        tests = [ROLLBAR_TEST] if _has_test_routes(self._plan) else []
        self._own = page_visit.click(self._page, self._trace_id, [HOME, *tests])
        if tests:
            page_visit.report(self._page, self._trace_id)

    def whole(self) -> frozenset[str]:
        """The ids of the trace's spans; none as long as it is not whole: every service and the
        database in it, and the parent of every span.
        """
        if not self._recorded:
            return self._own
        self.spans = read_spans(self._record, self._trace_id, self._offset)
        ids = frozenset(span.span_id for span in self.spans)
        whole = (
            not self._absent()
            and any("db.system" in span.attributes for span in self.spans)
            and all(not span.parent_id or span.parent_id in ids for span in self.spans)
        )
        return ids if whole and self._own <= ids else frozenset()

    def _absent(self) -> frozenset[str]:
        return self._through - {span.service for span in self.spans}

    def lacking(self) -> str:
        """What the trace lacks, and what came instead; "" where it is whole."""
        if not self._recorded or self.whole():
            return ""
        if self._absent():
            came = ", ".join(sorted({span.service for span in self.spans})) or "no service"
            return f"no span of {', '.join(sorted(self._absent()))}; spans of {came} came"
        if not any("db.system" in span.attributes for span in self.spans):
            return "no span of the database came"
        return "the parent of a span did not come"


def _steps(spans: Sequence[Span], parent: str = "", depth: int = 0) -> Iterator[Step]:
    for span in sorted(spans, key=lambda one: one.start):
        if span.parent_id == parent:
            yield Step(depth, span.service, span.name)
            yield from _steps(spans, span.span_id, depth + 1)


@dataclass(frozen=True)
class Witness:
    """Somebody who knows whether one vendor has one signal.

    `reason`: what the vendor said against it, or "". `final_no`: it was refused, and nobody will
    try again.
    """

    vendor: str
    signal: str
    by: str
    arrived: Callable[[], bool]
    reason: Callable[[], str]
    final_no: Callable[[], bool] = lambda: False


def _witnesses(
    plan: Plan, config: Mapping[str, object], trace_id: str, clicked: _Click | None
) -> Iterator[Witness]:
    vendors = {vendor.name: vendor for vendor in plan.vendors}
    client = Client(plan.control_url) if plan.control_url else None
    ledger = _Ledger(plan, config)
    for route in routes(config):
        if clicked and route.signal == "metrics":
            continue  # a page sends none
        if route.vendor == LOCAL_RECORD:
            file = plan.telemetry_dir / RECORD[route.signal]
            yield _record_witness(file, route, trace_id, clicked)
            continue
        vendor = vendors.get(route.vendor)
        if vendor is not None and not vendor.live and client is not None:
            yield _emulator_witness(
                client, vendor, ledger, route, trace_id=trace_id, clicked=clicked
            )
        elif vendor is not None and vendor.live and vendor.read is not None:
            yield _reading_witness(vendor.read, ledger, route, trace_id)
        else:
            yield _ledger_witness(ledger, route)
    for vendor in plan.vendors:
        played = not vendor.live and client is not None
        if vendor.takes_errors and played and client is not None and _has_test_routes(plan):
            yield _error_witness(client, vendor, trace_id, 2 if clicked else 1)


def untried(plan: Plan) -> Iterator[tuple[str, str]]:
    """Where a vendor gets nothing but errors, one has to be made, and somebody has to say who has
    it.
    """
    environment = plan.settings.deployment_environment
    for vendor in plan.vendors:
        if vendor.takes_errors and not _has_test_routes(plan):
            why = f"nothing fails on purpose with DEPLOYMENT_ENVIRONMENT={environment}"
            yield vendor.name, why
        elif vendor.takes_errors and vendor.live:
            yield vendor.name, "an error was made, and the token that sends it cannot ask for it"


def _record_witness(file: Path, route: Route, trace_id: str, clicked: _Click | None) -> Witness:
    offset = size(file)

    def arrived() -> bool:
        if clicked and route.signal == "traces":
            return bool(clicked.whole())
        if not file.exists():
            return False
        with file.open("rb") as stream:
            # Rotated since: then all of it is new.
            stream.seek(offset if size(file) >= offset else 0)
            return trace_id.encode() in stream.read()

    return Witness(route.vendor, route.signal, f"read in {file.name}", arrived, lambda: "")


def _emulator_witness(
    client: Client,
    vendor: Vendor,
    ledger: _Ledger,
    route: Route,
    *,
    trace_id: str,
    clicked: _Click | None,
) -> Witness:
    began = time.time()
    ask = vendor.emulated.get(route.signal)

    def arrived() -> bool:
        if ask is not None:
            return ask(client, trace_id)
        held = _held(client, vendor.emulator, trace_id).get(route.signal, [])
        if clicked and route.signal == "traces":
            whole = clicked.whole()
            # A span's id there is `<trace id>:<span id>`.
            return bool(whole) and whole <= {one.rpartition(":")[2] for one in held}
        return bool(held)

    def reason() -> str:
        return _refusal(client, vendor.emulator, began, route.signal)

    return Witness(
        route.vendor,
        route.signal,
        "held by the emulator",
        arrived,
        reason,
        lambda: ledger.lost(route) > 0,
    )


def _error_witness(client: Client, vendor: Vendor, trace_id: str, items: int) -> Witness:
    began = time.time()

    def arrived() -> bool:
        return len(_held(client, vendor.emulator, trace_id).get("items", ())) >= items

    def reason() -> str:
        return _refusal(client, vendor.emulator, began, ERRORS)

    return Witness(
        vendor.name, ERRORS, "held by the emulator", arrived, reason, lambda: bool(reason())
    )


def _ledger_witness(ledger: _Ledger, route: Route) -> Witness:
    """For a live vendor: nobody but its exporter's count is there to read without a second key."""
    return Witness(
        route.vendor,
        route.signal,
        "accepted by the vendor, as its exporter counts",
        lambda: ledger.sent(route) > 0,
        lambda: f"{ledger.lost(route)} refused for good" if ledger.lost(route) else "",
        lambda: ledger.lost(route) > 0,
    )


def _reading_witness(
    read: Callable[[str, str], bool], ledger: _Ledger, route: Route, trace_id: str
) -> Witness:
    """For a live vendor whose settings hold a key that reads."""
    silent: list[str] = []

    def arrived() -> bool:
        try:
            return read(route.signal, trace_id)
        except UnreachableError as failed:
            silent[:] = [str(failed)]
            return False

    counted = _ledger_witness(ledger, route)
    return replace(
        counted,
        by="read back from the vendor",
        arrived=arrived,
        reason=lambda: counted.reason() or "".join(silent),
    )


def _held(client: Client, emulator: str, trace_id: str) -> dict[str, list[str]]:
    try:
        return client.held_ids(emulator, trace_id)
    except EmulatorError as away:
        raise StackError(str(away), "see `make status`") from None


def _refusal(client: Client, emulator: str, began: float, signal: str) -> str:
    """Why the emulator said no since `began`, in the words of its own request log."""
    for request in reversed(client.requests(emulator)):
        status = int(request["status"])
        path = str(request["path"])
        mentions = signal in path or not any(other in path for other in SIGNALS)
        if float(request["at"]) >= began and mentions and not 200 <= status < 300:  # noqa: PLR2004
            answer = str(status) if status else "no answer"
            why = request.get("why") or (request.get("fault") or {})
            return f"{answer} {why}".strip()
    return ""


class _Ledger:
    """The ledger's growth since the moment this was made."""

    def __init__(self, plan: Plan, config: Mapping[str, object]) -> None:
        self._plan = plan
        self._routes = routes(config)
        self._fronts = front_receivers(config)
        self._before = self._read()
        self._read_at = 0.0
        self._now = self._before

    def sent(self, route: Route) -> int:
        return self._growth(route, "sent")

    def lost(self, route: Route) -> int:
        return self._growth(route, "failed") + self._growth(route, "dropped")

    def _growth(self, route: Route, column: str) -> int:
        if time.monotonic() - self._read_at > 2 * PAUSE_SECONDS:
            self._now, self._read_at = self._read(), time.monotonic()
        return int(getattr(self._now[route], column)) - int(getattr(self._before[route], column))

    def _read(self) -> dict[Route, Entry]:
        entries = read_ledger(self._plan.metrics_url, self._routes, self._fronts)
        return dict(zip(self._routes, entries, strict=True))


def _send(plan: Plan, trace_id: str) -> None:
    """A request to the app, which makes spans, a log record and an item for Rollbar; and one of
    each signal straight to the collector, which do not depend on the app's export intervals.
    """
    service = otlp_json.VERIFY_SERVICE
    for signal, message in (
        ("traces", otlp_json.span(service, trace_id, "verify")),
        ("metrics", otlp_json.gauge(service, trace_id, otlp_json.VERIFY_METRIC)),
        ("logs", otlp_json.log(service, trace_id, "a log record of `make verify`")),
    ):
        otlp_json.send(plan.otlp_url, signal, message, plan.access)
    path = ROLLBAR_TEST if _has_test_routes(plan) else HOME
    get_in_trace(f"{plan.backend_url}{path}", trace_id)


def _has_test_routes(plan: Plan) -> bool:
    """Only where people try the stack out; in production nobody may make items from outside."""
    return plan.environment["DEBUG_ROUTES"] == "true"
