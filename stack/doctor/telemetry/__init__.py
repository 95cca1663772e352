"""What is wrong with the telemetry that services send, as the local record has it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from stack.console import ago
from stack.doctor.setup import Setup
from stack.doctor.telemetry.copies import copied_spans, doubled_servers
from stack.doctor.telemetry.environment import clashes
from stack.doctor.telemetry.errors import errors_without_status
from stack.doctor.telemetry.http import names_with_ids, no_route, old_names
from stack.doctor.telemetry.latest import Flaw, Latest, latest
from stack.doctor.telemetry.logs import logs_without_trace
from stack.doctor.telemetry.names import default_names, shared_names
from stack.doctor.telemetry.times import skewed_clocks
from stack.finding import About, Finding
from stack.traces import trace_command

SUBJECTS: tuple[Callable[[Latest], Iterable[Flaw]], ...] = (
    default_names,
    shared_names,
    old_names,
    names_with_ids,
    no_route,
    errors_without_status,
    logs_without_trace,
    skewed_clocks,
    copied_spans,
    doubled_servers,
)


def check_telemetry(setup: Setup) -> Iterator[Finding]:
    """One finding for each flaw of each service in the last hour, with its cure."""
    about = About("telemetry")
    record = latest(setup.plan.telemetry_dir)
    flaws = [*(flaw for subject in SUBJECTS for flaw in subject(record)), *clashes(setup.plan)]
    for flaw in flaws:
        yield about.warning(f"{flaw.service} {flaw.what}{_last(flaw, record)}", flaw.todo)
    if not flaws:
        names = sorted({span.service for span in record.spans})
        yield about.ok(
            f"nothing is wrong with what {', '.join(names) or 'services'} sent in the last hour"
        )


def _last(flaw: Flaw, record: Latest) -> str:
    """When it was seen last, and what shows the trace."""
    if not flaw.last:
        return ""
    ids = (span.trace_id for span in record.spans if span.end / 1e9 == flaw.last)
    shows = next((f": {trace_command(trace_id)}" for trace_id in ids), "")
    return f"; the last {ago(time.time() - flaw.last)}{shows}"
