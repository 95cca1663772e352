"""One stack for each worker of pytest-xdist; a test finds it as shipped, whatever the last did."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from stack.errors import StackError
from tests.integration.harness.stack import SERVICES, Stack

LINES = 15
"""Of each service's console, shown with a failed test."""


TEST_SECONDS = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            # Fixtures may take longer: the first one builds what is missing.
            item.add_marker(pytest.mark.timeout(TEST_SECONDS, func_only=True))


@pytest.fixture(scope="session")
def running_stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    try:
        stack = _start(request.config.getoption("--runtime"), folder)
    except StackError as error:
        pytest.fail(f"the stack did not start: {error}", pytrace=False)
    yield stack
    if not _kept(request.config, request.session):
        stack.close()


def _start(runtime: str, folder: Path) -> Stack:
    # The imports wait: the suite runs natively where testcontainers has no engine to talk to.
    if runtime == "native":
        from tests.integration.harness.native import NativeStack  # noqa: PLC0415

        return NativeStack(folder)
    from tests.integration.harness.docker import DockerStack  # noqa: PLC0415

    return DockerStack(folder)


@pytest.fixture
def stack(request: pytest.FixtureRequest, running_stack: Stack) -> Iterator[Stack]:
    """The stack as shipped. With --keep, the one of a failed test stays as that test left it."""
    yield running_stack
    if not _kept(request.config, request.session):
        running_stack.restore()


def _kept(config: pytest.Config, session: pytest.Session) -> bool:
    return bool(config.getoption("--keep") and session.testsfailed)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and stack is not None:
        for service in SERVICES:
            last = stack.console(service).splitlines()[-LINES:]
            report.sections.append((f"console of {service}", "\n".join(last)))
        if item.config.getoption("--keep"):
            report.sections.append(("left standing", stack.whereabouts()))
    return report
