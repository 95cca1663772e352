"""The files that `make logs` and `make verify` read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stack.waiting import wait_for
from tests.unit.collector.running import running, trace

pytestmark = pytest.mark.collector


@pytest.mark.parametrize("what", ["the file", "its folder"])
def test_it_may_be_deleted_while_the_collector_runs(
    binary: Path, tmp_path: Path, what: str
) -> None:
    """Upstream writes on into the file that nobody sees any more, until the next start."""
    folder = tmp_path / "telemetry"
    record = folder / "traces.jsonl"

    def written(name: str) -> None:
        wait_for(name, record.read_text, until=lambda text: name in text, seconds=60)

    with running(binary, tmp_path, environment={"TELEMETRY_DIR": str(folder)}) as collector:
        for name in ("GET /first", "GET /second", "GET /third"):
            collector.post("traces", trace(name))
            written(name)
            if what == "the file":
                record.unlink()
            else:
                shutil.rmtree(folder)
        collector.post("traces", trace("GET /fourth"))
        written("GET /fourth")

        assert "The local record was deleted" in collector.log
        assert collector.stop() == 0
