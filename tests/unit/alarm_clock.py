"""The time by which the emulators look at alarms, stopped."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

import pytest

from emulators.cloudwatch import backend


def stop(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The time that it stays for alarms of this process's emulators until the test is over.

    A period begins at a round time of the clock, such as a full minute: what a test wrote just
    before is of the period before.
    """
    stopped = datetime.now(UTC)

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return stopped.astimezone(tz)

    monkeypatch.setattr(backend, "datetime", Stopped)
    return stopped
