"""The collector's own log, and what each exporter last complained of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from stack.program import ProgramError, run
from stack.runtimes import native

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stack.plan import Plan

STOPPING = "interrupted due to shutdown"
TAIL_BYTES = 4 * 1024 * 1024
TAIL_LINES = 5000
ASK_SECONDS = 4
FIELDS = 5


@dataclass(frozen=True)
class Line:
    """One line of the collector's log. `fields` is the JSON at its end."""

    at: datetime
    level: str
    message: str
    fields: Mapping[str, Any]

    @property
    def component(self) -> str:
        return str(self.fields.get("otelcol.component.id", ""))

    @property
    def error(self) -> str:
        return str(self.fields.get("error", ""))


def read_log(plan: Plan) -> list[Line]:
    """The end of the log of the collector that runs, oldest line first; empty without one."""
    return list(parse(_native(plan) if plan.runtime == "native" else _docker(plan)))


def parse(text: str) -> Iterator[Line]:
    """The lines in the collector's console form; stack traces and other things are passed over."""
    for line in text.splitlines():
        parts = line.split("\t", FIELDS - 1)
        if len(parts) < FIELDS - 1:
            continue
        try:
            at = datetime.fromisoformat(parts[0])
        except ValueError:
            continue
        *_, level, _place, message = parts[:4]
        yield Line(at, level, message, _fields(parts[4] if len(parts) == FIELDS else ""))


def last_error(lines: Iterable[Line], exporters: Iterable[str]) -> Line | None:
    """What one of `exporters` complained of last; a stop of the collector is no complaint."""
    names = set(exporters)
    found = None
    for line in lines:
        if line.component in names and line.error and not line.error.startswith(STOPPING):
            found = line
    return found


def _fields(text: str) -> Mapping[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _native(plan: Plan) -> str:
    file = native.log_files(plan)["collector"]
    if not file.exists():
        return ""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - TAIL_BYTES))
        return stream.read().decode(errors="replace")


def _docker(plan: Plan) -> str:
    compose = ["docker", "compose", "--project-name", plan.project, "logs"]
    try:
        return run(
            [*compose, "--no-log-prefix", f"--tail={TAIL_LINES}", "collector"], seconds=ASK_SECONDS
        )
    except ProgramError:
        return ""
