"""`verify` from the page's side: one trace through every service, at every vendor."""

from __future__ import annotations

import dataclasses
import io
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from stack import page_visit
from stack.commands.verify import show
from stack.errors import StackError
from stack.runtimes import supervisor
from stack.telemetry import RECORD, read_spans, recorded_by_service
from stack.verify import Start, Step, verify
from tests.browser.conftest import Site, Visit
from tests.integration.harness.native import start_process

DEADLINE = 60
SHORT = 15
"""Seconds, where one vendor's is not to arrive; all others' takes 1.3, longer on two busy cores."""


def states(deliveries: object) -> dict[tuple[str, str], str]:
    assert isinstance(deliveries, tuple)
    return {(one.vendor, one.signal): one.state for one in deliveries}


@pytest.fixture
def no_profiles(site: Site) -> Iterator[None]:
    supervisor.rpc(site.plan).stopProcess("profiles-flask")
    yield
    start_process(site.plan, "profiles-flask")


@pytest.fixture
def bad_key(site: Site) -> Iterator[None]:
    site.emulators.break_("honeycomb", "401")
    yield
    site.emulators.heal()


@pytest.fixture
def half_taken(site: Site) -> Iterator[None]:
    site.emulators.break_("honeycomb", "partial", share=0.5)
    yield
    site.emulators.heal()


def test_a_click_arrives_everywhere_as_one_trace(site: Site) -> None:
    # when
    report = verify(site.plan, DEADLINE, start=Start.PAGE)
    # then every vendor has it
    assert report.complete, report.deliveries
    assert set(states(report.deliveries)) == {
        ("local record", "traces"),
        ("honeycomb", "traces"),
        ("xray", "traces"),
        ("local record", "logs"),
        ("honeycomb", "logs"),
        ("cloudwatch", "logs"),
        ("rollbar", "errors"),
    }
    # and it is one trace, the backend's spans under the page's
    assert report.steps[:2] == (
        Step(0, "frontend-react", "click verify"),
        Step(1, "frontend-react", "GET /api/activities/home"),
    )
    deep = {(step.depth, step.service) for step in report.steps}
    assert {(2, "backend-flask"), (5, "profiles-flask")} <= deep
    assert [step.depth for step in report.steps].count(0) == 1
    assert "SELECT cruddur" in {step.name for step in report.steps}
    # and Rollbar has an item of the backend and one of the page
    items = site.emulators.holds("rollbar", report.trace_id)["items"]
    assert [item.get("platform") == "browser" for item in items].count(True) == 1
    assert len(items) == 2


def test_picture_for_the_docs(site: Site, visit: Visit, screenshots: Path | None) -> None:
    # given what `make verify FROM=page` prints
    terminal = Console(record=True, width=76, file=io.StringIO(), force_terminal=True)
    show(verify(site.plan, DEADLINE, start=Start.PAGE), terminal)
    # when
    visit.page.set_viewport_size({"width": 1000, "height": 800})
    visit.page.set_content(terminal.export_svg(title="make verify FROM=page"))
    shot = visit.page.locator("svg").first.screenshot()
    # then
    assert "click verify" in visit.page.locator("svg").first.inner_html().replace("&nbsp;", " ")
    if screenshots is not None:
        (screenshots / "verify.png").write_bytes(shot)


def test_a_trace_without_profiles_is_not_whole(site: Site, no_profiles: None) -> None:
    del no_profiles
    report = verify(site.plan, SHORT, start=Start.PAGE)
    assert {states(report.deliveries)[key, "traces"] for key in ("honeycomb", "xray")} == {
        "missing"
    }
    assert not report.complete
    [why] = {one.why for one in report.deliveries if one.signal == "traces"}
    assert why == "no span of profiles-flask; spans of backend-flask, frontend-react came"


def test_a_vendor_with_part_of_the_spans_has_not_the_trace(site: Site, half_taken: None) -> None:
    del half_taken
    report = verify(site.plan, SHORT, start=Start.PAGE)
    held = site.emulators.holds("honeycomb", report.trace_id)["traces"]
    assert 0 < len(held) < len(report.steps)
    found = states(report.deliveries)
    assert found["honeycomb", "traces"] != "arrived"
    assert found["xray", "traces"] == "arrived"


def test_a_vendor_that_refuses_is_named_with_what_it_says(site: Site, bad_key: None) -> None:
    del bad_key
    report = verify(site.plan, SHORT, start=Start.PAGE)
    found = states(report.deliveries)
    assert (found["honeycomb", "traces"], found["xray", "traces"]) == ("rejected", "arrived")
    assert any(one.why.startswith("401") for one in report.deliveries)


@pytest.mark.parametrize("to", ["backend", "collector"])
def test_a_page_that_is_in_no_cors_list_is_said_to_be(site: Site, to: str) -> None:
    stranger = dataclasses.replace(page_visit.open_page(site.plan), origin="http://127.0.0.2:3000")
    paths = ["/api/activities/home"] if to == "backend" else []
    with pytest.raises(StackError, match="its CORS list lacks") as refused:
        page_visit.click(stranger, secrets.token_hex(16), paths)
    assert {"backend": site.backend_url, "collector": site.plan.otlp_url}[to] in str(refused.value)


def test_a_stack_without_a_page_says_so(site: Site) -> None:
    without = dataclasses.replace(site.plan, processes=site.plan.processes[:-1])
    with pytest.raises(StackError, match="the page is no part of this stack"):
        verify(without, 1, start=Start.PAGE)


def test_the_pages_spans_are_counted(site: Site, tmp_path: Path) -> None:
    report = verify(site.plan, DEADLINE, start=Start.PAGE)
    assert report.complete
    # As the record is now: a page that an earlier test has left may still be sending.
    record = tmp_path / RECORD["traces"]
    shutil.copyfile(site.plan.telemetry_dir / RECORD["traces"], record)
    of_page = [span for span in read_spans(record) if span.service == "frontend-react"]
    # The click, and its two requests.
    assert [span.trace_id for span in of_page].count(report.trace_id) == 3
    counted = {one.service: one.spans for one in recorded_by_service(record.parent)}
    assert counted["frontend-react"] == len(of_page)
