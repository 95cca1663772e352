"""Why a service did not continue a trace: from its process, and from what came at that moment."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from stack.errors import StackError
from stack.otlp_json import VERIFY_SERVICE
from stack.refusals import Refusal, about, read_refusals
from stack.routes import front_receivers
from stack.services import Plan
from stack.telemetry import RECORD, read_logs, read_points, read_spans, size
from stack.verify.process import find_fault
from stack.verify.reason import Reason, other_propagator, unsampled
from stack.verify.starts import LATE_SECONDS, UrlRequest, get

BASELINE_BYTES = 1024 * 1024
"""Of the records: what was counted before, and what was traced."""

LONGEST_INTERVAL_SECONDS = 60.0
"""Of an SDK's metrics, unless it is set."""

REQUEST_COUNTS = ("http.server.request.duration", "http.server.duration")

PROPAGATORS: Mapping[str, Callable[[str, str], dict[str, str]]] = {
    "b3": lambda trace, span: {"b3": f"{trace}-{span}-1"},
    "b3multi": lambda trace, span: {
        "X-B3-TraceId": trace,
        "X-B3-SpanId": span,
        "X-B3-Sampled": "1",
    },
    "xray": lambda trace, span: {
        "X-Amzn-Trace-Id": f"Root=1-{trace[:8]}-{trace[8:]};Parent={span};Sampled=1"
    },
    "jaeger": lambda trace, span: {"uber-trace-id": f"{trace}:{span}:0:1"},
}
"""As OTEL_PROPAGATORS names them, with the headers that each alone reads."""


@dataclass(frozen=True)
class Before:
    """What there was before the request: the sizes of the record's files, and what the collector
    had refused.
    """

    plan: Plan
    moment: float
    receivers: tuple[str, ...]
    offsets: Mapping[str, int]
    refused: Mapping[tuple[str, ...], int]


def look_before(plan: Plan, config: Mapping[str, object]) -> Before:
    """To compare with afterwards."""
    receivers = tuple(front_receivers(config))
    offsets = {signal: size(plan.telemetry_dir / file) for signal, file in RECORD.items()}
    refused = {_key(one): one.requests for one in read_refusals(plan.metrics_url, receivers)[0]}
    return Before(plan, time.time(), receivers, offsets, refused)


def diagnose(request: UrlRequest, before: Before) -> Reason:
    """The surest first: what its process shows, what was refused, what it recorded instead. Asks
    the URL once more, with other propagators' headers.
    """
    found = find_fault(request.plan, request.url) or next(_refused(request, before), None)
    found = found or _unsampled_log(request, before) or _other_propagator(request)
    return found or _counted_not_traced(before) or _nothing(request, before)


def _key(refusal: Refusal) -> tuple[str, ...]:
    return refusal.receiver, refusal.protocol, refusal.reason, refusal.path


def _refused(request: UrlRequest, before: Before) -> Iterator[Reason]:
    now = read_refusals(before.plan.metrics_url, before.receivers)[0]
    for one in now:
        if one.requests > before.refused.get(_key(one), 0) and one.last >= request.sent:
            what = f"the collector refused something since: {about(one, time.time())}"
            yield Reason("refused", what, one.why)


def _unsampled_log(request: UrlRequest, before: Before) -> Reason | None:
    file = before.plan.telemetry_dir / RECORD["logs"]
    for log in read_logs(file, request.trace_id, before.offsets["logs"]):
        if not log.sampled:
            return unsampled(f"{log.service} wrote a log record of the trace, flagged as unsampled")
    return None


def _other_propagator(request: UrlRequest) -> Reason | None:
    ids = {secrets.token_hex(16): name for name in PROPAGATORS}
    # X-Ray's begin with a time that it believes.
    ids = {f"{int(time.time()):08x}{trace[8:]}": name for trace, name in ids.items()}
    headers = {
        header: value
        for trace, name in ids.items()
        for header, value in PROPAGATORS[name](trace, secrets.token_hex(8)).items()
    }
    offset = size(request.record)
    try:
        get(request.url, headers)
    except StackError:
        return None  # it answered before, and what is to be said of it is said without this
    deadline = time.monotonic() + LATE_SECONDS
    while time.monotonic() < deadline:
        for span in read_spans(request.record, offset=offset):
            if span.trace_id in ids:
                reads = ids[span.trace_id]
                return other_propagator(f"{span.service} reads the headers of {reads}", reads)
        time.sleep(0.2)
    return None


def _counted_not_traced(before: Before) -> Reason | None:
    """A service that counts its requests and records none."""
    offset = before.offsets["metrics"]
    file = before.plan.telemetry_dir / RECORD["metrics"]
    was: dict[tuple[object, ...], float] = {}
    grown: set[tuple[str, str]] = set()
    for point in read_points(file, max(0, offset - BASELINE_BYTES)):
        if point.metric not in REQUEST_COUNTS:
            continue
        process = _process(point.resource)
        key = (*process, point.metric, *sorted(map(str, point.attributes.items())))
        if point.value > was.get(key, 0) and point.time >= before.moment:
            grown.add(process)
        was[key] = point.value
    record = before.plan.telemetry_dir / RECORD["traces"]
    # What is counted now may have been asked before, within an interval of the metrics'.
    spans = read_spans(record, offset=max(0, before.offsets["traces"] - BASELINE_BYTES))
    since = before.moment - LONGEST_INTERVAL_SECONDS
    traced = {_process(span.resource) for span in spans if span.end / 1e9 >= since}
    silent = sorted({service for service, _ in grown - traced})
    if not silent:
        return None
    return unsampled(f"{', '.join(silent)} counted a request at that moment and recorded no span")


def _process(resource: Mapping[str, object]) -> tuple[str, str]:
    name, instance = (resource.get(key, "") for key in ("service.name", "service.instance.id"))
    return str(name), str(instance)


def _nothing(request: UrlRequest, before: Before) -> Reason:
    spans = read_spans(request.record, offset=before.offsets["traces"])
    others = sorted({span.service for span in spans} - {VERIFY_SERVICE})
    came = f"spans of {', '.join(others)} came, of other traces" if others else "no other either"
    return Reason(
        "nothing_came",
        f"no span of the trace came, {came}; nothing is wrong with the variables of the process "
        f"behind {request.url}, or they cannot be read from here",
        "start it under opentelemetry-instrument with what `make env` prints: without it nothing "
        "is recorded, and with another endpoint it goes elsewhere; if OpenTelemetry itself failed, "
        "the service's first printed lines say so",
    )
