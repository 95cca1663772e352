"""One trace, one metric, one log record through the stack, and who got them."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stack import otlp_json
from stack.applied_config import applied_config
from stack.errors import StackError
from stack.ledger import Entry, read_ledger
from stack.played import STANDIN_OF_VENDOR
from stack.routes import LOCAL_RECORD, Route, front_receivers, routes
from stack.telemetry import size
from stack.traced_request import get_in_trace
from standins.client import Client, StandInError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from stack.plan import Plan

SERVICE = "otel-stack-verify"
METRIC = "otel_stack.verify"
ERRORS = "errors"
"""What Rollbar gets; it comes from the app, not through the collector."""


RECORD_FILES = {"traces": "traces.jsonl", "metrics": "metrics.jsonl", "logs": "logs.jsonl"}
PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class Delivery:
    """`state`: `arrived`, `missing` or `rejected`. `seconds`: from sending to arrival.

    `by`: how it is known, for example what the stand-in holds. `why`: what the vendor said.
    """

    vendor: str
    signal: str
    state: str
    seconds: float | None
    by: str
    why: str = ""


@dataclass(frozen=True)
class Report:
    trace_id: str
    deliveries: tuple[Delivery, ...]

    @property
    def complete(self) -> bool:
        return all(delivery.state == "arrived" for delivery in self.deliveries)


def verify(
    plan: Plan, deadline: float, show: Callable[[Sequence[Delivery]], None] = lambda _: None
) -> Report:
    """Send one of each signal under a fresh trace id, and wait until every vendor has it.

    `show` is called with what is known so far each time something arrives. Raises StackError when
    the collector or the app does not take what is sent.
    """
    trace_id = secrets.token_hex(16)
    config = applied_config(plan)
    witnesses = list(_witnesses(plan, config, trace_id))
    started = time.monotonic()
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
            why = witness.reason()
            waiting[key] = replace(waiting[key], state="rejected" if why else "missing", why=why)
    return Report(trace_id, tuple(waiting.values()))


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


def _witnesses(plan: Plan, config: Mapping[str, object], trace_id: str) -> Iterator[Witness]:
    played = {vendor.name for vendor in plan.vendors if not vendor.live}
    client = Client(plan.control_url) if plan.control_url else None
    ledger = _Ledger(plan, config)
    for route in routes(config):
        if route.vendor == LOCAL_RECORD:
            yield _record_witness(plan.telemetry_dir / RECORD_FILES[route.signal], route, trace_id)
        elif route.vendor in played and client is not None:
            yield _standin_witness(client, ledger, route, trace_id)
        else:
            yield _ledger_witness(ledger, route)
    if "rollbar" in played and client is not None and _has_test_routes(plan):
        yield _rollbar_witness(client, trace_id)


def _record_witness(file: Path, route: Route, trace_id: str) -> Witness:
    offset = size(file)

    def arrived() -> bool:
        if not file.exists():
            return False
        with file.open("rb") as stream:
            # Rotated since: then all of it is new.
            stream.seek(offset if size(file) >= offset else 0)
            return trace_id.encode() in stream.read()

    return Witness(route.vendor, route.signal, f"read in {file.name}", arrived, lambda: "")


def _standin_witness(client: Client, ledger: _Ledger, route: Route, trace_id: str) -> Witness:
    standin = STANDIN_OF_VENDOR[route.vendor]
    began = time.time()

    def arrived() -> bool:
        if (standin, route.signal) == ("aws", "metrics"):
            # CloudWatch keeps no trace id with a metric: it is known by its value.
            value = otlp_json.gauge_value(trace_id)
            points = client.metrics(name=METRIC)
            return any(value == number for p in points for number, _ in p.get("values", ()))
        return bool(_held(client, standin, trace_id).get(route.signal))

    def reason() -> str:
        return _refusal(client, standin, began, route.signal)

    return Witness(
        route.vendor,
        route.signal,
        "held by the stand-in",
        arrived,
        reason,
        lambda: ledger.lost(route) > 0,
    )


def _rollbar_witness(client: Client, trace_id: str) -> Witness:
    began = time.time()

    def arrived() -> bool:
        return bool(_held(client, "rollbar", trace_id))

    def reason() -> str:
        return _refusal(client, "rollbar", began, ERRORS)

    return Witness(
        "rollbar", ERRORS, "held by the stand-in", arrived, reason, lambda: bool(reason())
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


def _held(client: Client, standin: str, trace_id: str) -> dict[str, list[dict[str, object]]]:
    try:
        return client.holds(standin, trace_id)
    except StandInError as away:
        raise StackError(str(away), "see `make status`") from None


def _refusal(client: Client, standin: str, began: float, signal: str) -> str:
    """Why the stand-in said no since `began`, in the words of its own request log."""
    for request in reversed(client.requests(standin)):
        status = int(request["status"])
        mentions = signal in str(request["path"]) or standin != "honeycomb"
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
    for signal, message in (
        ("traces", otlp_json.span(SERVICE, trace_id, "verify")),
        ("metrics", otlp_json.gauge(SERVICE, trace_id, METRIC)),
        ("logs", otlp_json.log(SERVICE, trace_id, "a log record of `make verify`")),
    ):
        otlp_json.send(plan.otlp_url, signal, message)
    path = "/rollbar/test" if _has_test_routes(plan) else "/api/activities/home"
    get_in_trace(f"{plan.backend_url}{path}", trace_id)


def _has_test_routes(plan: Plan) -> bool:
    """Only where people try the stack out; in production nobody may make items from outside."""
    return plan.environment["DEBUG_ROUTES"] == "true"
