from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.collector_build import ensure_collector_binary
from stack.settings import ROOT
from tests.unit.collector.running import Collector, running


@pytest.fixture(scope="session")
def binary() -> Path:
    """Our own build: compiled when it is not there yet, so that no test is left out."""
    return ensure_collector_binary(ROOT)


@pytest.fixture
def collector(binary: Path, tmp_path: Path) -> Iterator[Collector]:
    with running(binary, tmp_path) as started:
        yield started
