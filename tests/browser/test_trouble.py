"""Telemetry never breaks the page; errors of one click reach Rollbar under one trace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from stack.runtimes import supervisor
from stack.waiting import wait_for
from tests.browser.conftest import PATIENCE_SECONDS, Site, Visit
from tests.integration.harness.native import start_process
from tests.integration.harness.witness import ARRIVAL_SECONDS

HIDE = """
    Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
"""
LACKS = {
    "a user agent": """Object.defineProperty(navigator, "userAgent", {
        get() { throw new Error("not told"); } });""",
    "what only https pages have": "delete Crypto.prototype.randomUUID;",
    "storage": """Object.defineProperty(window, "sessionStorage", {
        get() { throw new DOMException("forbidden", "SecurityError"); } });""",
}
"""By what is not there: a script that takes it away before the page's own begin."""


def use(page: Page) -> None:
    """What a user does, each step waited for."""
    page.get_by_role("article").first.wait_for()
    page.get_by_label("What happened?").fill("Said without a collector")
    page.get_by_role("button", name="Post").click()
    page.get_by_text("Posted.").wait_for()
    page.get_by_role("link", name="Worf").first.click()
    page.get_by_role("heading", name="@worf").wait_for()
    page.get_by_role("article").first.wait_for()


@pytest.fixture
def no_collector(site: Site) -> Iterator[None]:
    supervisor.rpc(site.plan).stopProcess("collector")
    yield
    start_process(site.plan, "collector")


@pytest.mark.usefixtures("no_collector")
def test_the_page_works_without_a_collector(site: Site, visit: Visit) -> None:
    use(visit.to(site.url))
    assert visit.uncaught == []


@pytest.mark.parametrize("how", ["blocked", "refusing", "hanging"])
def test_the_page_works_whatever_the_collector_does(site: Site, visit: Visit, how: str) -> None:
    def answer(route: Route) -> None:
        if how == "blocked":
            route.abort("blockedbyclient")
        elif how == "refusing":
            route.fulfill(status=413)
        # Left unanswered it hangs.

    visit.page.route(f"{site.plan.otlp_url}/**", answer)
    use(visit.to(site.url))
    assert visit.uncaught == []


def test_a_flush_that_is_refused_is_no_error_of_the_pages(site: Site, visit: Visit) -> None:
    sending = f"{site.plan.otlp_url}/v1/traces"
    visit.page.route(sending, lambda route: route.fulfill(status=413))
    page = visit.to(site.url)
    page.get_by_role("article").first.wait_for()
    with page.expect_response(sending):
        page.evaluate(HIDE)
    # The answer is the exporter's to read; what it makes of it is told to who asked for the flush.
    page.evaluate("new Promise((later) => setTimeout(later, 200))")
    assert visit.uncaught == []


@pytest.mark.parametrize("lacks", LACKS)
def test_the_page_works_in_a_browser_that_telemetry_cannot_use(
    site: Site, visit: Visit, lacks: str
) -> None:
    visit.page.add_init_script(LACKS[lacks])
    use(visit.to(site.url))
    assert visit.uncaught == []


def test_one_click_two_errors_one_trace(site: Site, visit: Visit) -> None:
    page = visit.to(site.url)
    # React shows the text in one task of the browser's, and the error is nobody's in another.
    with page.expect_event("pageerror"):
        page.get_by_role("button", name="Raise an error").click()
    said = page.get_by_text("Failed on purpose")
    said.wait_for()
    assert visit.uncaught == ["provoked by the error button"]
    # It stands below the whole feed, and is not to be looked for.
    expect(said).to_be_in_viewport(timeout=1000 * PATIENCE_SECONDS)
    shown = page.locator(".trouble code").inner_text()
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    assert page.evaluate("navigator.clipboard.readText()") == shown

    span = wait_for(
        "the click with its item",
        lambda: [s for s in site.spans() if s.name == "click provoke error"],
        seconds=ARRIVAL_SECONDS,
    )[-1]
    assert shown == span.trace_id

    def items() -> list[dict[str, Any]]:
        return site.emulators.holds("rollbar", span.trace_id).get("items", [])

    found = wait_for(
        "both items", items, until=lambda held: len(held) == 2, seconds=ARRIVAL_SECONDS
    )
    platforms = {item.get("platform", "") == "browser" for item in found}
    assert platforms == {True, False}
    [own] = [item for item in found if item.get("platform") == "browser"]
    assert own["uuid"] == span.attributes["rollbar.uuid"]
    assert own["body"]["trace"]["exception"]["class"] == "ProvokedError"
    assert own["body"]["trace"]["frames"][-1]["filename"].startswith(f"{site.url}/assets/")


def test_an_api_refusal_is_shown_at_its_field(site: Site, visit: Visit) -> None:
    page = visit.to(site.url)
    page.get_by_label("As", exact=True).fill("no such handle!")
    page.get_by_role("button", name="Post").click()
    page.get_by_text("handle has to be 1 to 32 letters, digits or _").wait_for()
    page.get_by_text("message has to be a text that is not empty").wait_for()
    focused = page.evaluate("document.activeElement.getAttribute('aria-invalid')")
    assert focused == "true"


def test_a_backend_that_is_away_can_be_tried_again(site: Site, visit: Visit) -> None:
    home = f"{site.backend_url}/api/activities/home"
    visit.page.route(home, lambda route: route.abort("connectionrefused"))
    page = visit.to(site.url)
    page.get_by_text("The backend cannot be reached.").wait_for()
    visit.page.unroute(home)
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("article").first.wait_for()
    assert visit.uncaught == []
