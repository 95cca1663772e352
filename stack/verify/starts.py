"""What starts the trace: a request to the app, a click in the page, a request to any URL."""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from stack import otlp_json, page_visit
from stack.asking import UnreachableError, ask
from stack.errors import StackError, quoted
from stack.otlp_json import VERIFY_SERVICE
from stack.routes import LOCAL_RECORD, SIGNALS, routes
from stack.services import PAGE, Plan
from stack.telemetry import RECORD, Span, read_spans, size
from stack.traced_request import get_in_trace

ANSWER_SECONDS = 30
QUIET_SECONDS = 1.0
"""Without a new span: then the trace is taken for whole, as nobody knows what else is to come."""

LATE_SECONDS = 6.0
"""For the spans of a service that another one called: an SDK without the stack's defaults sends
every 5 s.
"""


class Start(StrEnum):
    """Where what is sent begins."""

    APP = "app"
    PAGE = "page"


@dataclass(frozen=True)
class Step:
    """A span of a trace; `depth` is 0 at its root."""

    depth: int
    service: str
    name: str


class Sent(ABC):
    """Something that is sent under a trace id of its own. Made before it is sent, so that what was
    there before is known.

    `signals`: of which one each is sent. `errors`: how many items Rollbar gets. `spans`: the trace
    as the local record has it.
    """

    signals: tuple[str, ...] = ("traces",)
    errors = 0
    waits_for_whole = True
    """Whether a vendor has to hold every span; else one of the trace is enough."""

    def __init__(self, plan: Plan, config: Mapping[str, object], trace_id: str) -> None:
        self.plan = plan
        self.trace_id = trace_id
        self.record = plan.telemetry_dir / RECORD["traces"]
        self.offset = size(self.record)
        self.recorded = any(
            (route.vendor, route.signal) == (LOCAL_RECORD, "traces") for route in routes(config)
        )
        self.spans: list[Span] = []

    @abstractmethod
    def send(self) -> None:
        """Raises StackError when somebody does not take what is sent."""

    def whole(self) -> frozenset[str]:
        """The ids of the trace's spans; none as long as it is not whole."""
        return frozenset()

    def lacking(self) -> str:
        """What the trace lacks, and what came instead; "" where it is whole."""
        return ""

    def steps(self) -> tuple[Step, ...]:
        """The trace as a tree."""
        ids = {span.span_id for span in self.spans}
        roots = [span for span in self.spans if span.parent_id not in ids]
        return tuple(_steps(self.spans, roots, 0))

    def read(self) -> frozenset[str]:
        """Renew `spans`; gives their ids once the parent of each is among them."""
        self.spans = read_spans(self.record, self.trace_id, self.offset)
        ids = frozenset(span.span_id for span in self.spans)
        with_parents = all(not span.parent_id or span.parent_id in ids for span in self.spans)
        return ids if with_parents else frozenset()


def _steps(spans: Sequence[Span], level: Sequence[Span], depth: int) -> Iterator[Step]:
    for span in sorted(level, key=lambda one: one.start):
        yield Step(depth, span.service, span.name)
        children = [one for one in spans if one.parent_id == span.span_id]
        yield from _steps(spans, children, depth + 1)


class AppRequest(Sent):
    """A request to each service that people call, which makes spans, a log record and, where one
    reports an error, an item for Rollbar; and one of each signal straight to the collector, which
    do not depend on the services' export intervals.
    """

    signals = SIGNALS
    waits_for_whole = False

    def __init__(self, plan: Plan, config: Mapping[str, object], trace_id: str) -> None:
        super().__init__(plan, config, trace_id)
        self.errors = len(plan.reporting)

    def send(self) -> None:
        for signal, message in (
            ("traces", otlp_json.span(VERIFY_SERVICE, self.trace_id, "verify")),
            (
                "metrics",
                otlp_json.gauge(VERIFY_SERVICE, self.trace_id, otlp_json.VERIFY_METRIC),
            ),
            ("logs", otlp_json.log(VERIFY_SERVICE, self.trace_id, "a log record of `make verify`")),
        ):
            otlp_json.send(self.plan.otlp_url, signal, message, self.plan.access)
        for process in self.plan.verified:
            reports = process in self.plan.reporting
            path = process.error_path if reports else process.proof_path
            get_in_trace(f"{process.url}{path}", self.trace_id)


class PageClick(Sent):
    """A click on the page: one trace through every service to the database.

    Where the config keeps no record of traces, the page's own spans stand for the trace.
    """

    signals = ("traces", "logs")

    def __init__(self, plan: Plan, config: Mapping[str, object], trace_id: str) -> None:
        super().__init__(plan, config, trace_id)
        self._page = page_visit.open_page(plan)
        asked = plan.process(PAGE).depends_on
        self._asked = [one for one in plan.verified if one.name in asked]
        self._tests = [one.error_path for one in self._asked if one in plan.reporting]
        # The page reports one of its own.
        self.errors = len(self._tests) + bool(self._tests)
        # The services that a click passes, besides the database.
        self._through = frozenset({PAGE}).union(*map(plan.names_in_trace, self._asked))
        self._own: frozenset[str] = frozenset()

    def send(self) -> None:
        paths = [*(one.proof_path for one in self._asked), *self._tests]
        self._own = page_visit.click(self._page, self.trace_id, paths)
        if self._tests:
            page_visit.report(self._page, self.trace_id)

    def whole(self) -> frozenset[str]:
        if not self.recorded:
            return self._own
        ids = self.read()
        return ids if ids >= self._own and not self._absent() and self._database() else frozenset()

    def lacking(self) -> str:
        if not self.recorded or self.whole():
            return ""
        if self._absent():
            came = ", ".join(sorted({span.service for span in self.spans})) or "no service"
            return f"no span of {', '.join(sorted(self._absent()))}; spans of {came} came"
        if not self._database():
            return "no span of the database came"
        return "the parent of a span did not come"

    def _absent(self) -> frozenset[str]:
        return self._through - {span.service for span in self.spans}

    def _database(self) -> bool:
        return any("db.system" in span.attributes for span in self.spans)


class UrlRequest(Sent):
    """A request to any URL, and the span of it that is the root of the trace."""

    def __init__(self, plan: Plan, config: Mapping[str, object], trace_id: str, url: str) -> None:
        """Raises StackError for what is no URL, and where the config keeps no record of traces."""
        super().__init__(plan, config, trace_id)
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
            raise StackError(f"{quoted(url)} is no URL", "write http://, the host, and the path")
        if not self.recorded:
            raise StackError(
                "the collector's config has no file of traces, in which this one is looked for",
                "name the exporter `file/traces` in a traces pipeline",
            )
        self.url = url
        self.status = 0
        self.sent = time.time()
        self._own = secrets.token_hex(8)
        self._changed = time.monotonic()

    def send(self) -> None:
        began = time.time_ns()
        self.sent = began / 1e9
        self.status = get(self.url, {"traceparent": f"00-{self.trace_id}-{self._own}-01"})
        name = f"GET {urlsplit(self.url).path or '/'}"
        body = otlp_json.span_body(
            self.trace_id, self._own, name, "CLIENT", start=began, end=time.time_ns()
        )
        message = otlp_json.spans(VERIFY_SERVICE, [body])
        otlp_json.send(self.plan.otlp_url, "traces", message, self.plan.access)

    @property
    def continued(self) -> bool:
        """Whether anybody but us had a part in the trace."""
        return any(span.span_id != self._own for span in self.spans)

    def whole(self) -> frozenset[str]:
        before = len(self.spans)
        ids = self.read()
        if len(self.spans) != before:
            self._changed = time.monotonic()
        settled = time.monotonic() - self._changed > QUIET_SECONDS and (
            not self.unanswered() or time.time() - self.sent > LATE_SECONDS
        )
        return ids if settled and self.continued else frozenset()

    def lacking(self) -> str:
        return "" if self.whole() else "the parent of a span did not come"

    def unanswered(self) -> list[Span]:
        """Requests of a service's to which no other service has a span."""
        answered = {span.parent_id for span in self.spans}
        return [
            span
            for span in self.spans
            if span.kind == "CLIENT"
            and span.span_id not in answered
            and {"http.request.method", "http.method"} & span.attributes.keys()
        ]


def get(url: str, headers: Mapping[str, str]) -> int:
    """The status of the answer, whichever it is. Raises StackError where none comes."""
    try:
        return ask("GET", url, headers=headers, seconds=ANSWER_SECONDS).status_code
    except UnreachableError as silent:
        raise StackError(f"{url}: {silent}", "start the service, or put the URL right") from None
