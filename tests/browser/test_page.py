"""The page itself: for everybody, by keyboard, on a narrow screen, and light."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from stack.settings import ROOT
from tests.browser.conftest import PATIENCE_SECONDS, Site, Visit

AXE = ROOT / "services/frontend/node_modules/axe-core/axe.min.js"
VIEWS = {
    "home": "/",
    "person": "/@worf",
    "nobody": "/@nobody_here",
    "search": "/search?term=collector",
    "bad search": "/search?term=",
    "missing": "/no/such/page",
}


def settled(page: Page) -> None:
    page.locator("article, .notice").first.wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(site: Site, visit: Visit, view: str, theme: str) -> None:
    visit.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page = visit.to(site.url + VIEWS[view])
    settled(page)
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run().then(({ violations }) => violations)")
    told = [
        f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes']]}" for one in found
    ]
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert not told, json.dumps(told, indent=1)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("width", [360, 1600])
def test_nothing_is_wider_than_the_screen(site: Site, visit: Visit, view: str, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 740})
    page = visit.to(site.url + VIEWS[view])
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_narrow_screens_header_has_the_search_in_a_second_line(site: Site, visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 360, "height": 740})
    page = visit.to(site.url)
    located = (
        page.get_by_role("link", name="Cruddur"),
        page.get_by_role("button", name="theme"),
        page.get_by_role("searchbox", name="Search"),
    )
    brand, theme, search = [box for one in located if (box := one.bounding_box())]
    assert theme["y"] < brand["y"] + brand["height"] <= search["y"]
    assert search["width"] > 300


def test_a_post_needs_no_mouse(site: Site, visit: Visit) -> None:
    page = visit.to(site.url)
    settled(page)
    focused = "document.activeElement.tagName"
    steps = 0
    while page.evaluate(focused) != "TEXTAREA":
        page.keyboard.press("Tab")
        steps += 1
        assert steps < 10
    page.keyboard.type("By keyboard alone")
    while page.evaluate("document.activeElement.innerText") != "Post":
        page.keyboard.press("Tab")
        steps += 1
        assert steps < 20
    page.keyboard.press("Enter")
    page.get_by_text("Posted.").wait_for()


def test_back_shows_what_was_before(site: Site, visit: Visit) -> None:
    page = visit.to(site.url)
    page.get_by_role("link", name="Worf").first.click()
    page.get_by_role("heading", name="@worf").wait_for()
    page.go_back()
    page.get_by_role("heading", name="Home").wait_for()
    # React sets it in an effect, which may come after the heading is there.
    expect(page).to_have_title("Cruddur", timeout=1000 * PATIENCE_SECONDS)


def test_what_was_written_is_there_after_a_look_at_somebodys_page(site: Site, visit: Visit) -> None:
    page = visit.to(site.url)
    page.get_by_label("What happened?").fill("Not posted yet 😀")
    # Two to JavaScript, one character to the backend.
    page.get_by_text("264 left").wait_for()
    page.get_by_role("link", name="Worf").first.click()
    page.get_by_role("heading", name="@worf").wait_for()
    page.go_back()
    page.get_by_role("heading", name="Home").wait_for()
    assert page.get_by_label("What happened?").input_value() == "Not posted yet 😀"


def test_pages_headers_keep_strangers_out(site: Site) -> None:
    headers = requests.get(site.url, timeout=PATIENCE_SECONDS).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert site.backend_url in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_pictures_for_the_docs(site: Site, visit: Visit, screenshots: Path | None) -> None:
    page = visit.to(site.url)
    settled(page)
    shot = page.screenshot()
    assert shot.startswith(b"\x89PNG")
    if screenshots is not None:
        screenshots.mkdir(exist_ok=True)
        (screenshots / "page.png").write_bytes(shot)
        page.emulate_media(color_scheme="dark")
        page.reload()
        settled(page)
        (screenshots / "page-dark.png").write_bytes(page.screenshot())
