"""One trace, one metric, one log record through the stack, and who got them.

From the app: a request of our own, and one of each signal straight to the collector. From the page:
a click as a browser sends it. From a URL: a request to a service, wherever it runs. A click and a
request are one trace through services; a vendor has it once it has every span of it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from stack.applied_config import applied_config
from stack.services import Plan
from stack.verify.diagnosis import diagnose, look_before
from stack.verify.reason import Reason
from stack.verify.starts import AppRequest, PageClick, Sent, Start, Step, UrlRequest
from stack.verify.witnesses import Witness, untried, witnesses

__all__ = ["Delivery", "Reason", "Report", "Start", "Step", "untried", "verify"]

PAUSE_SECONDS = 0.1


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
    """`steps`: the trace of a click or a URL, a span each with its depth; empty when it began in
    the app.

    `untried`: vendors that could not be asked, and why. `pages`: where a person sees the trace, by
    live vendor. `notes`: what else is to be known of a URL's trace. `reason`: why its service did
    not continue the trace.
    """

    trace_id: str
    deliveries: tuple[Delivery, ...]
    steps: tuple[Step, ...] = ()
    untried: Mapping[str, str] = field(default_factory=dict)
    pages: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reason: Reason | None = None

    @property
    def complete(self) -> bool:
        return not self.reason and all(one.state == "arrived" for one in self.deliveries)


Show = Callable[[Sequence[Delivery]], None]


def verify(
    plan: Plan, deadline: float, show: Show = lambda _: None, start: Start | str = Start.APP
) -> Report:
    """Send one of each signal under a fresh trace id, and wait until every vendor has it.

    `show` is called with what is known so far each time something arrives. `start`: a `Start`, else
    a URL. Raises StackError when the collector, the app or the page does not take what is sent, and
    when nobody answers at the URL.
    """
    trace_id, config = secrets.token_hex(16), applied_config(plan)
    live = (vendor for vendor in plan.vendors if vendor.live)
    pages = {vendor.name: vendor.page_of(trace_id) for vendor in live if vendor.page_of}
    if isinstance(start, Start):
        kind = PageClick if start is Start.PAGE else AppRequest
        sent = kind(plan, config, trace_id)
        arrived = _deliver(sent, list(witnesses(plan, config, sent)), deadline, show)
        return Report(trace_id, arrived, sent.steps(), dict(untried(plan)), pages)
    request = UrlRequest(plan, config, trace_id, start)
    before = look_before(plan, config)
    arrived = _deliver(request, list(witnesses(plan, config, request)), deadline, show)
    if not request.continued:
        return Report(trace_id, (), notes=_notes(request), reason=diagnose(request, before))
    return Report(trace_id, arrived, request.steps(), pages=pages, notes=_notes(request))


def _deliver(
    sent: Sent, asked: Sequence[Witness], deadline: float, show: Show
) -> tuple[Delivery, ...]:
    started = time.monotonic()
    sent.send()
    waiting = {
        (witness.vendor, witness.signal): Delivery(
            witness.vendor, witness.signal, "missing", None, witness.by
        )
        for witness in asked
    }
    while time.monotonic() - started < deadline:
        for witness in asked:
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
            for witness in asked
        ):
            break  # what is missing was refused for good: waiting changes nothing
        time.sleep(PAUSE_SECONDS)
    for witness in asked:
        key = (witness.vendor, witness.signal)
        if waiting[key].state != "arrived":
            said = witness.reason()
            lacks = sent.lacking() if witness.signal == "traces" else ""
            state = "rejected" if said else "missing"
            waiting[key] = replace(waiting[key], state=state, why=said or lacks)
    return tuple(waiting.values())


def _notes(request: UrlRequest) -> tuple[str, ...]:
    def notes() -> Iterator[str]:
        yield f"GET {request.url} was answered with status {request.status}"
        for span in request.unanswered():
            asked = span.attributes
            where = asked.get("url.full") or asked.get("http.url") or span.name
            yield f"{span.service} asked {where}, and no span of that service came"

    return tuple(dict.fromkeys(notes()))
