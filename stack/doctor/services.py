"""What the services made: whether it got as far as the collector, and whether it fits together."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from stack.doctor.setup import Setup
from stack.finding import About, Finding
from stack.telemetry import RECORD, lost_lately, read_logs, read_spans, size

LATEST_BYTES = 4 * 1024 * 1024
"""Of each record: a second of reading."""

UNDER_WAY_SECONDS = 30.0
"""A request's spans end after its log records, and a batch may wait."""


def check_services(setup: Setup) -> Iterator[Finding]:
    """What services lost before the collector had it, and log records without their traces."""
    about = About("services")
    folder = setup.plan.telemetry_dir
    lost = lost_lately(folder / RECORD["metrics"])
    for one in lost:
        ago = (time.time() - one.last) / 60
        yield about.warning(
            f"{one.service} lost {one.sentence}; the last of them {ago:.0f} min ago",
            f"`make logs SERVICE={one.service}` says more, docs/when-something-is-missing.md what "
            "to do",
        )
    traceless = list(_logs_without_traces(setup))
    for service, missing, records in traceless:
        what = (
            f"{missing} of the latest {records} log records of {service} are of traces that nobody "
            "recorded"
        )
        if setup.settings.traces_sampler == "xray_remote":
            yield about.ok(f"{what}: X-Ray's sampling rules leave them out")
            continue
        yield about.warning(
            f"{what}: its callers send a traceparent that ends in -00, and it follows them",
            "take TRUST_CALLERS=on out of .env"
            if setup.settings.trust_callers == "on"
            else f"have them sample, or start {service} with OTEL_TRACES_SAMPLER=always_on",
        )
    if not lost and not traceless:
        yield about.ok("no service lost anything, and every log record has its trace")


def _logs_without_traces(setup: Setup) -> Iterator[tuple[str, int, int]]:
    """By service: how many log records name a trace that is unsampled and in no span's record, of
    how many that name any.
    """
    files = {signal: setup.plan.telemetry_dir / RECORD[signal] for signal in ("traces", "logs")}
    begin = {signal: max(0, size(file) - LATEST_BYTES) for signal, file in files.items()}
    spans = read_spans(files["traces"], offset=begin["traces"])
    recorded = {span.trace_id for span in spans}
    # Each record begins a new file when its own is full: of older requests the spans may be gone.
    oldest = min((span.end / 1e9 for span in spans), default=0.0)
    newest = time.time() - UNDER_WAY_SECONDS
    logs = [
        log
        for log in read_logs(files["logs"], offset=begin["logs"])
        if log.trace_id and oldest <= log.time <= newest
    ]
    of_traces = Counter(log.service for log in logs)
    missing = Counter(
        log.service for log in logs if not log.sampled and log.trace_id not in recorded
    )
    for service in sorted(missing):
        yield service, missing[service], of_traces[service]
