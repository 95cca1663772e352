"""Where a stack of a plan is reached, and what it has recorded: the same for every runtime."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from stack.services import Plan
from stack.telemetry import Log, Point, Span, read_logs, read_points, read_spans
from tests.integration.harness.stack import BACKEND, Signal


class PlannedStack(ABC):
    """See `Stack`."""

    _plan: Plan

    @property
    def backend_url(self) -> str:
        return self._plan.process(BACKEND).url

    @property
    def profiles_url(self) -> str:
        return f"http://127.0.0.1:{self._plan.ports['PROFILES_PORT']}"

    @property
    def otlp_url(self) -> str:
        return self._plan.otlp_url

    @property
    def control_url(self) -> str:
        return str(self._plan.control_url)

    @abstractmethod
    def record(self, signal: Signal) -> Path: ...

    def spans(self, trace_id: str | None = None) -> list[Span]:
        return read_spans(self.record("traces"), trace_id)

    def logs(self, trace_id: str | None = None) -> list[Log]:
        return read_logs(self.record("logs"), trace_id)

    def points(self) -> list[Point]:
        return read_points(self.record("metrics"))
