"""What a test sees of a running stack, whichever runtime runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from stack.telemetry import Log, Point, Span

Signal = Literal["traces", "metrics", "logs"]

EMULATORS = "emulators"
COLLECTOR = "collector"
PROFILES = "profiles-flask"
BACKEND = "backend-flask"
SERVICES = (EMULATORS, COLLECTOR, PROFILES, BACKEND)
"""In the order of their start."""

WORKERS = 2
"""gunicorn workers of each Flask service."""

TEST_ENVIRONMENT = {
    # The SDK's own 60 s would make each test of a metric last a minute.
    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    "WEB_CONCURRENCY": str(WORKERS),
}
"""The only difference between the services under test and those that people start."""


@dataclass(frozen=True)
class Change:
    """What is different from the stack as it is shipped.

    `collector_config`: the whole text in place of the config file's.
    `environment`: variables by service, over those that it has.
    """

    collector_config: str | None = None
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


AS_SHIPPED = Change()


class KilledError(AssertionError):
    """A service that was to stop and had to be killed; with its console."""


class Stack(Protocol):
    """Emulators for the vendors, a collector and both Flask services, on ports of their own.

    Services go by the names in `SERVICES`. Whatever waits raises DeadlineError or StackError.
    """

    @property
    def backend_url(self) -> str: ...

    @property
    def profiles_url(self) -> str: ...

    @property
    def otlp_url(self) -> str:
        """Where OTLP over HTTP is taken, without the signal's path."""

    @property
    def control_url(self) -> str:
        """The emulators' control API: what each vendor holds, and how to spoil it."""

    def record(self, signal: Signal) -> Path:
        """The file exporter's file of one signal as it is now, or a copy of it."""

    def spans(self, trace_id: str | None = None) -> list[Span]:
        """What the file exporter has written so far; of one trace where `trace_id` is given."""

    def logs(self, trace_id: str | None = None) -> list[Log]: ...

    def points(self) -> list[Point]: ...

    def stop(self, service: str) -> float:
        """SIGTERM, then wait for the end. Returns the seconds that it took.

        Raises KilledError when the service did not end by itself and had to be killed.
        """

    def kill(self, service: str) -> None:
        """SIGKILL. What watches over the service may bring it back; `start` makes sure of it."""

    def start(self, service: str) -> None:
        """Start what was stopped or killed, and wait until it is healthy."""

    def pause(self, service: str) -> None:
        """Let every process of the service hang: connections are taken, nothing answers."""

    def resume(self, service: str) -> None: ...

    def console(self, service: str) -> str:
        """What the service has printed so far."""

    def change(self, change: Change) -> None:
        """Restart what has to be restarted so that `change`, and no earlier one, holds."""

    def restore(self) -> None:
        """Undo whatever a test did: everything runs again, as shipped."""

    def close(self) -> None:
        """Stop everything and remove it."""

    def whereabouts(self) -> str:
        """How to reach a stack that was left standing, and how to end it."""
