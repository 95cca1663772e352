"""The page as its container serves it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from stack.images import ensure_images
from stack.page_build import can_serve_page
from stack.services import make_plan
from stack.settings import ROOT, load_settings
from tests.integration.harness.checkout import Checkout


@pytest.fixture
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Checkout]:
    if request.config.getoption("--runtime") != "docker":
        pytest.skip("about a container")
    assert can_serve_page(ROOT), "the page needs Node, or to be built already"
    # Not on the clock of the command that starts it; what it is known by is the same there.
    ensure_images(make_plan(load_settings(ROOT, {**os.environ, "PAGE": "on"}), ROOT, "docker"))
    made = Checkout(tmp_path / "project", page=True)
    made.settings["RUNTIME"] = "docker"
    yield made
    made.close()


def test_a_container_serves_the_page_and_a_click_is_one_trace(checkout: Checkout) -> None:
    # given
    up = checkout.run("up")
    assert up.code == 0, up.output
    page = f"http://127.0.0.1:{checkout.ports['FRONTEND_PORT']}"
    # then it is the page, with the headers that keep strangers out, and compressed files
    answer = requests.get(page, timeout=30)
    assert "Cruddur" in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert checkout.url in policy
    assert "default-src 'self'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    script = answer.text.partition('src="/assets/')[2].partition('"')[0]
    asset = requests.get(f"{page}/assets/{script}", timeout=30)
    assert (asset.ok, asset.headers["Content-Encoding"]) == (True, "gzip")
    assert "immutable" in asset.headers["Cache-Control"]
    # when somebody clicks
    verified = checkout.run("verify", "--from=page", "--json", "--deadline=60")
    # then the trace goes from the page to the database, at every vendor
    report = json.loads(verified.output.strip().splitlines()[-1])
    assert verified.code == 0, verified.output
    assert report["complete"], report
    services = {step["service"] for step in report["steps"]}
    assert services == {"frontend-react", "backend-flask", "profiles-flask"}
    # and status tells whose spans there are
    spans = {one["service"]: one["spans"] for one in checkout.status()["recorded"]}
    assert spans["frontend-react"] == 3
