"""Who knows whether a vendor has what was sent: the local record, an emulator, the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from emulators.client import Client, EmulatorError
from stack.asking import UnreachableError
from stack.errors import StackError
from stack.ledger import Entry, read_ledger
from stack.routes import LOCAL_RECORD, SIGNALS, Route, front_receivers, routes
from stack.services import Plan
from stack.telemetry import RECORD, size
from stack.vendors import Vendor
from stack.verify.starts import Sent

ERRORS = "errors"
"""What Rollbar gets; it comes from the app, not through the collector."""

LEDGER_SECONDS = 0.2
"""How old a reading of the ledger may be."""


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


def witnesses(plan: Plan, config: Mapping[str, object], sent: Sent) -> Iterator[Witness]:
    """One for each vendor and signal that `sent` makes. Called before it is sent."""
    vendors = {vendor.name: vendor for vendor in plan.vendors}
    client = Client(plan.control_url) if plan.control_url else None
    ledger = _Ledger(plan, config)
    for route in routes(config):
        vendor = vendors.get(route.vendor)
        if route.signal not in sent.signals:
            continue
        if route.vendor == LOCAL_RECORD:
            yield _record_witness(plan.telemetry_dir / RECORD[route.signal], route, sent)
        elif vendor is not None and not vendor.live and client is not None:
            yield _emulator_witness(client, vendor, ledger, route, sent)
        elif vendor is not None and vendor.live and vendor.read is not None:
            yield _reading_witness(vendor.read, ledger, route, sent.trace_id)
        else:
            yield _ledger_witness(ledger, route)
    for vendor in plan.vendors:
        if vendor.takes_errors and not vendor.live and client is not None and sent.errors:
            yield _error_witness(client, vendor, sent)


def untried(plan: Plan) -> Iterator[tuple[str, str]]:
    """Where a vendor gets nothing but errors, one has to be made, and somebody has to say who has
    it.
    """
    environment = plan.settings.deployment_environment
    for vendor in plan.vendors:
        if vendor.takes_errors and not any(one.error_path for one in plan.verified):
            yield vendor.name, "no service here has a route that reports an error on purpose"
        elif vendor.takes_errors and not plan.reporting:
            why = f"nothing fails on purpose with DEPLOYMENT_ENVIRONMENT={environment}"
            yield vendor.name, why
        elif vendor.takes_errors and vendor.live:
            yield vendor.name, "an error was made, and the token that sends it cannot ask for it"


def _record_witness(file: Path, route: Route, sent: Sent) -> Witness:
    offset = size(file)

    def arrived() -> bool:
        if sent.waits_for_whole and route.signal == "traces":
            return bool(sent.whole())
        if not file.exists():
            return False
        with file.open("rb") as stream:
            # Rotated since: then all of it is new.
            stream.seek(offset if size(file) >= offset else 0)
            return sent.trace_id.encode() in stream.read()

    return Witness(route.vendor, route.signal, f"read in {file.name}", arrived, lambda: "")


def _emulator_witness(
    client: Client, vendor: Vendor, ledger: _Ledger, route: Route, sent: Sent
) -> Witness:
    began = time.time()
    ask = vendor.emulated.get(route.signal)

    def arrived() -> bool:
        if ask is not None:
            return ask(client, sent.trace_id)
        held = _held(client, vendor.emulator, sent.trace_id).get(route.signal, [])
        if sent.waits_for_whole and route.signal == "traces":
            whole = sent.whole()
            # A span's id there is `<trace id>:<span id>`.
            return bool(whole) and whole <= {one.rpartition(":")[2] for one in held}
        return bool(held)

    return Witness(
        route.vendor,
        route.signal,
        "held by the emulator",
        arrived,
        lambda: _refusal(client, vendor.emulator, began, route.signal),
        lambda: ledger.lost(route) > 0,
    )


def _error_witness(client: Client, vendor: Vendor, sent: Sent) -> Witness:
    began = time.time()

    def arrived() -> bool:
        items = _held(client, vendor.emulator, sent.trace_id).get("items", ())
        return len(items) >= sent.errors

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
        if time.monotonic() - self._read_at > LEDGER_SECONDS:
            self._now, self._read_at = self._read(), time.monotonic()
        return int(getattr(self._now[route], column)) - int(getattr(self._before[route], column))

    def _read(self) -> dict[Route, Entry]:
        entries = read_ledger(self._plan.metrics_url, self._routes, self._fronts)
        return dict(zip(self._routes, entries, strict=True))
