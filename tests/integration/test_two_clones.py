"""Two clones of the project on one machine, as two users of it have them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from tests.integration.harness.checkout import Checkout, running_checkout

NOT_UP = "error: the stack is not up; start it with `make up`"


@pytest.fixture
def clones(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Checkout, Checkout]]:
    """One that is up, and one whose stack was not started."""
    runtime = request.config.getoption("--runtime")
    with ExitStack() as kept:
        folders = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
        second = Checkout(folders[1])
        kept.callback(second.close)
        second.settings["RUNTIME"] = runtime
        first = kept.enter_context(running_checkout(folders[0], runtime))
        yield first, second


def answers(checkout: Checkout) -> bool:
    return requests.get(f"{checkout.url}/api/health-check", timeout=10).ok


def test_a_stack_belongs_to_its_folder(clones: tuple[Checkout, Checkout]) -> None:
    first, second = clones
    # when the other one's stack is asked for, in a clone that has none
    said = [second.run(command).error for command in ("status", "reload", "verify")]
    # then
    assert said == [NOT_UP] * 3
    assert "nothing was running" in second.run("down").output
    assert answers(first)
    # when both want the same ports
    own = {name: second.settings.pop(name) for name in second.ports}
    second.settings |= {name: str(port) for name, port in first.ports.items()}
    refused = second.run("up").error
    # then
    assert f"of the stack in {first.folder}; `make down` in {first.folder}" in refused
    assert answers(first)
    # when each has its own
    second.settings |= own
    ended = second.run("up")
    # then both are up, and to stop one leaves the other
    assert ended.code == 0, ended.output
    assert answers(first)
    assert second.run("down").code == 0
    assert answers(first)
    assert all(service["running"] for service in first.status()["services"])
