"""A service gets another name, where docs/when-something-is-missing.md says that it stands."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from stack.page_build import can_serve_page
from stack.settings import ROOT
from tests.integration.harness.checkout import Checkout

NAMES = {"backend": "shop-api", "profiles": "shop-people"}


@pytest.fixture
def checkout(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Checkout]:
    assert can_serve_page(ROOT), "the page needs Node, or to be built already"
    made = Checkout(tmp_path_factory.mktemp("checkout"), page=True)
    made.settings["RUNTIME"] = request.config.getoption("--runtime")
    for folder, name in NAMES.items():
        (made.folder / "services" / folder / "otel.env").write_text(f"OTEL_SERVICE_NAME={name}\n")
    yield made
    made.close()


def test_renamed_services_are_what_up_and_verify_look_for(checkout: Checkout) -> None:
    # when
    up = checkout.run("up")
    # then
    assert up.code == 0, up.output
    # when
    verified = checkout.run("verify", "--from=page", "--json", "--deadline=60")
    # then
    [told] = [line for line in verified.output.splitlines() if line.startswith("{")]
    report = json.loads(told)
    assert report["complete"], report
    assert {*NAMES.values()} <= {step["service"] for step in report["steps"]}
    recorded = {one["service"] for one in checkout.status()["recorded"]}
    assert {*NAMES.values()} <= recorded
    assert checkout.run("down").code == 0
