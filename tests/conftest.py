"""Options and markers of the whole suite."""

from __future__ import annotations

import signal

import pytest

MARKERS = {
    "collector": "runs the collector's own binary",
    "broken": "spoils the stack on purpose, and expects the assertions to go red",
    "only_native": "about processes of this machine; left out with --runtime=docker",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    stack = parser.getgroup("stack", "the stack under test")
    stack.addoption(
        "--runtime",
        choices=("docker", "native"),
        default="docker",
        help="what runs the stack for the integration tests (default: docker)",
    )
    stack.addoption(
        "--keep",
        action="store_true",
        help="leave a failed test's stack standing, and say where",
    )


def pytest_configure(config: pytest.Config) -> None:
    # A shell's background job ignores SIGINT, and so would all that is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--runtime") == "native":
        return
    left_out = [item for item in items if item.get_closest_marker("only_native")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
