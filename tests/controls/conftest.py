"""What is quick by default; the controls are taken out with `--controls=all`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from tests.controls.inner_run import Outcome
from tests.controls.taken_out import TakenOut
from tools.controls import RESULTS
from tools.test_machine.base_images import ensure_base_images
from tools.test_machine.engine import engine_lease


class Recorder(Protocol):
    """Writes down what came of a case; `why`: why it was not red."""

    def __call__(
        self, section: str, case: TakenOut, seen: Outcome, why: str, seconds: float
    ) -> None: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    controls = parser.getgroup("controls", "the table of controls")
    controls.addoption(
        "--controls",
        choices=("quick", "all"),
        default="quick",
        help="all: take each control out of a copy, and see its test red",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "taken_out: runs tests in a copy; only with --controls=all")
    config.addinivalue_line("markers", "alone: nothing else may run beside it")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--controls") == "all":
        return
    left_out = [item for item in items if item.get_closest_marker("taken_out")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    """Else each case starts one of its own."""
    with engine_lease("controls"):
        os.environ.update(ensure_base_images())
        yield


@pytest.fixture
def prepared(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Has what a runtime needs in place."""

    def prepare(runtime: str) -> None:
        if runtime == "docker":
            request.getfixturevalue("engine")

    return prepare


@pytest.fixture
def recorded() -> Recorder:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")

    def write(section: str, case: TakenOut, seen: Outcome, why: str, seconds: float) -> None:
        line = {
            "section": section,
            "control": case.control,
            "what": case.what,
            "runtime": case.runtime,
            "red": seen.red | (seen.errors if case.error_is_red else {}),
            "green": seen.green,
            "why": why,
            "seconds": round(seconds, 1),
        }
        RESULTS.mkdir(parents=True, exist_ok=True)
        with (RESULTS / f"{worker}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    return write
