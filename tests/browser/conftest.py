"""One native stack with the page, and Debian's Chromium, for all tests of this folder."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from stack.checks import BROWSERS
from stack.page_build import can_serve_page
from stack.plan import make_plan
from stack.runtimes import native
from stack.settings import ROOT
from stack.telemetry import Span, read_spans
from standins.client import Client
from tests.integration.harness.plans import shipped_plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from stack.plan import Plan

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True)
class Site:
    """`url`: where the page is. `plan`: what runs."""

    plan: Plan
    standins: Client

    @property
    def url(self) -> str:
        assert self.plan.page_url is not None
        return self.plan.page_url

    def spans(self, trace_id: str | None = None) -> list[Span]:
        return read_spans(self.plan.telemetry_dir / "traces.jsonl", trace_id)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    assert can_serve_page(ROOT), "the page needs Node 20.19 or newer with npm"
    folder = tmp_path_factory.mktemp("site")
    bare = shipped_plan(folder, "native")
    settings = bare.settings.model_copy(update={"page": "on"})
    plan = make_plan(settings, ROOT, "native")
    native.up(plan)
    with Client(str(plan.control_url)) as standins:
        yield Site(plan, standins)
    native.down(plan)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert program, "no Chromium here: apt-get install --no-install-recommends chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield chromium
        chromium.close()


@dataclass(frozen=True)
class Visit:
    """A tab. `uncaught`: errors that nobody handled. `asked`: headers of each request, by URL."""

    page: Page
    uncaught: list[str] = dataclasses.field(default_factory=list)
    asked: list[tuple[str, dict[str, str]]] = dataclasses.field(default_factory=list)

    def to(self, url: str) -> Page:
        self.page.goto(url)
        return self.page


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 1000, "height": 800})
    visit = Visit(context.new_page())
    visit.page.set_default_timeout(10_000)
    visit.page.on("pageerror", lambda error: visit.uncaught.append(str(error)))
    visit.page.on("request", lambda asked: visit.asked.append((asked.url, asked.all_headers())))
    yield visit
    context.close()


@pytest.fixture
def screenshots(request: pytest.FixtureRequest) -> Path | None:
    """Where pictures for the docs go; None unless they are asked for."""
    return ROOT / "docs/pictures" if request.config.getoption("--pictures", default=False) else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", action="store_true", help="renew the docs' pictures")
