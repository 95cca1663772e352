"""One native stack with the page, and Debian's Chromium, for all tests of this folder."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, Request, sync_playwright

from emulators.client import Client
from stack.page_build import can_serve_page
from stack.runtimes import native
from stack.services import PAGE, Plan, Process, make_plan
from stack.settings import ROOT
from stack.telemetry import Span, read_spans
from stack.waiting import wait_for
from tests.integration.harness.plans import shipped_plan
from tests.integration.harness.stack import BACKEND
from tests.ports import free_ports
from tools.checks import BROWSERS

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

WORKSPACE_DOMAIN = "ws.test"

PATIENCE_SECONDS = 30
"""With a page that is loaded or drawn while other programs keep the machine busy."""


@dataclass(frozen=True)
class Site:
    """`url`: where the page is. `plan`: what runs. `other_port`: of a page that the backend takes
    requests of as well; nobody listens there.
    """

    plan: Plan
    emulators: Client
    other_port: int

    @property
    def url(self) -> str:
        assert self.plan.page_url is not None
        return self.plan.page_url

    @property
    def backend_url(self) -> str:
        return self.plan.process(BACKEND).url

    def spans(self, trace_id: str | None = None) -> list[Span]:
        return read_spans(self.plan.telemetry_dir / "traces.jsonl", trace_id)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    assert can_serve_page(ROOT), "the page needs Node 20.19 or newer with npm"
    folder = tmp_path_factory.mktemp("site")
    bare = shipped_plan(folder, "native")
    settings = bare.settings.model_copy(update={"page": "on"})
    [port] = free_ports(1)
    plan = _let_in(make_plan(settings, ROOT, "native"), f"http://127.0.0.1:{port}")
    native.up(plan)
    with Client(str(plan.control_url)) as emulators:
        yield Site(plan, emulators, port)
    native.down(plan)
    shutil.rmtree(folder)


def _let_in(plan: Plan, origin: str) -> Plan:
    """`plan` with a backend that takes requests of a second page."""

    def changed(process: Process) -> Process:
        if process.name != "backend-flask":
            return process
        origins = f"{process.environment['FRONTEND_ORIGINS']},{origin}"
        environment = {**process.environment, "FRONTEND_ORIGINS": origins}
        return dataclasses.replace(process, environment=environment)

    return dataclasses.replace(plan, processes=tuple(map(changed, plan.processes)))


@contextmanager
def served(site: Site, folder: Path) -> Iterator[str]:
    """Another build of the page, by the page's own server; yields its address."""
    process = site.plan.process(PAGE)
    bind = f"127.0.0.1:{site.other_port}"
    server = subprocess.Popen(
        process.argv,
        cwd=process.cwd,
        env={**process.environment, "PAGE_DIR": str(folder), "BIND": bind},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for("the other page", lambda: requests.get(f"http://{bind}", timeout=2).ok, seconds=30)
        yield f"http://{bind}"
    finally:
        server.terminate()
        server.wait(timeout=10)


@pytest.fixture(scope="session")
def workspace_port() -> int:
    """Where the browser looks for every host of the workspace's domain, whatever their ports."""
    [port] = free_ports(1)
    return port


@pytest.fixture(scope="session")
def browser(workspace_port: int) -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert program, "no Chromium here: apt-get install --no-install-recommends chromium"
    with sync_playwright() as playwright:
        names = f"--host-resolver-rules=MAP *.{WORKSPACE_DOMAIN} 127.0.0.1:{workspace_port}"
        chromium = playwright.chromium.launch(executable_path=program, args=(*FLAGS, names))
        yield chromium
        chromium.close()


@dataclass(frozen=True)
class Visit:
    """A tab. `uncaught`: errors that nobody handled. `requests`: what it asked for."""

    page: Page
    uncaught: list[str] = dataclasses.field(default_factory=list)
    requests: list[Request] = dataclasses.field(default_factory=list)

    @property
    def asked(self) -> list[tuple[str, dict[str, str]]]:
        """URL and headers of each request. The browser is asked for the headers, now."""
        return [(one.url, one.all_headers()) for one in self.requests]

    def to(self, url: str) -> Page:
        self.page.goto(url)
        return self.page


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 1000, "height": 800})
    visit = Visit(context.new_page())
    visit.page.set_default_timeout(PATIENCE_SECONDS * 1000)
    visit.page.on("pageerror", lambda error: visit.uncaught.append(str(error)))

    def note(request: Request) -> None:
        # Playwright takes neither a built-in method nor one of a frozen object.
        visit.requests.append(request)

    visit.page.on("request", note)
    yield visit
    context.close()


@pytest.fixture
def screenshots(request: pytest.FixtureRequest) -> Path | None:
    """Where pictures for the docs go; None unless they are asked for."""
    return ROOT / "docs/pictures" if request.config.getoption("--pictures", default=False) else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", action="store_true", help="renew the docs' pictures")
