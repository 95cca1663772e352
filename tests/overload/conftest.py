"""One collector for all bombs: none of them may need another."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from tests.faults.harness.bench import Bench


@pytest.fixture(scope="session", autouse=True)
def open_files() -> None:
    """As many as this user may have: a test holds one for each of its connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("overload")) as started:
        yield started
