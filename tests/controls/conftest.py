"""What is quick by default; the controls are taken out with `--controls=all`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


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
    config.addinivalue_line("markers", "by_itself: nothing else may run beside it")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--controls") == "all":
        return
    left_out = [item for item in items if item.get_closest_marker("taken_out")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
