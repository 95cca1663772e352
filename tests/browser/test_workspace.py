"""The page in a cloud workspace, where each port has an https host name of its own.

A proxy of the test's own gives the ports their names, as Gitpod and Codespaces do: a private port
wants the workspace's cookie, which a browser's question before a request to another origin never
has, and one on Codespaces hears `https://localhost` in place of its own origin.
"""

from __future__ import annotations

import http.client
import re
import shutil
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from emulators.client import Client
from stack.access import CERTIFICATE, KEY
from stack.certificates import make as make_certificates
from stack.runtimes import native
from stack.services import make_plan
from stack.settings import ROOT
from stack.telemetry import Span
from stack.verify import Start, verify
from stack.waiting import wait_for
from stack.workspace import settings_of
from tests.browser.conftest import PATIENCE_SECONDS, WORKSPACE_DOMAIN, Site
from tests.browser.test_trace import EVERYBODY, chain, whole_trace
from tests.integration.harness.plans import shipped_plan
from tests.integration.harness.witness import ARRIVAL_SECONDS
from tests.local_http import Handler, serve

VERIFY_SECONDS = 60
COOKIE = "workspace=mine"
HOP = {"connection", "host", "keep-alive", "transfer-encoding", "content-length"}


@dataclass
class Rules:
    """`form`: a port's address. `public`: ports that want no cookie. `rewrites`: as Codespaces,
    which tells a server of its own origin as https://localhost.
    """

    form: str = ""
    public: frozenset[int] = frozenset()
    rewrites: bool = False

    def port(self, host: str) -> int | None:
        form = re.escape(self.form).replace(re.escape("{port}"), r"(\d+)")
        match = re.fullmatch(form, f"https://{host}")
        return int(match[1]) if match else None


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory, workspace_port: int) -> Iterator[Rules]:
    """The workspace's proxy, and what it asks for."""
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder / "server", folder / "client", [f"*.{WORKSPACE_DOMAIN}"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "server" / CERTIFICATE, folder / "server" / KEY)
    found = Rules()

    class Proxy(Handler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            host = self.headers["Host"]
            port = found.port(host)
            body = self.body()
            if port is None:
                self.answer(404)
                return
            if port not in found.public and COOKIE not in (self.headers["Cookie"] or ""):
                self.answer(302, headers={"Location": f"https://login.{WORKSPACE_DOMAIN}/"})
                return
            headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
            if found.rewrites and headers.get("Origin") == f"https://{host}":
                headers["Origin"] = f"https://localhost:{port}"
            headers |= {"Host": host, "X-Forwarded-Proto": "https", "X-Forwarded-Host": host}
            inside = http.client.HTTPConnection(f"127.0.0.1:{port}", timeout=PATIENCE_SECONDS)
            try:
                inside.request(self.command, self.path, body or None, headers)
                answer = inside.getresponse()
                content = answer.read()
            except OSError:
                self.answer(502)
                return
            finally:
                inside.close()
            kept = {k: v for k, v in answer.getheaders() if k.lower() not in HOP}
            self.answer(answer.status, content, kept)

    with serve(Proxy, workspace_port, tls):
        yield found


GITPOD = {"GITPOD_WORKSPACE_URL": f"https://x.{WORKSPACE_DOMAIN}"}
CODESPACES = {
    "CODESPACE_NAME": "x",
    "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN": WORKSPACE_DOMAIN,
}


@pytest.fixture(
    scope="module",
    params=[(GITPOD, None), (CODESPACES, None), (GITPOD, "direct")],
    ids=["Gitpod", "Codespaces", "the API under its own name"],
)
def workspace(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, rules: Rules
) -> Iterator[Site]:
    """A stack that learns from the workspace's variables where it is. The API has a name of its own
    where its port is public, and is behind the page's otherwise.
    """
    folder = tmp_path_factory.mktemp("workspace")
    variables, requests = request.param
    [public_url] = settings_of(variables).values()
    bare = shipped_plan(folder, "native")
    chosen = {"page": "on", "public_url": public_url, "page_requests": requests}
    settings = bare.settings.model_copy(update=chosen)
    plan = make_plan(settings, ROOT, "native")
    rules.form = public_url
    rules.rewrites = variables is CODESPACES
    rules.public = frozenset([settings.port("BACKEND_PORT")] if requests else ())
    native.up(plan)
    with Client(str(plan.control_url)) as emulators:
        yield Site(plan, emulators, 0)
    native.down(plan)
    shutil.rmtree(folder)


@pytest.fixture
def visitor(workspace: Site, browser: Browser) -> Iterator[Page]:
    """A tab with the page, logged in to its port of the workspace."""
    context = browser.new_context(ignore_https_errors=True)
    url = address(workspace, "FRONTEND_PORT")
    log_in(context, url)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_SECONDS * 1000)
    page.goto(url)
    page.get_by_role("article").first.wait_for()
    yield page
    context.close()


def log_in(context: BrowserContext, url: str) -> None:
    name, _, value = COOKIE.partition("=")
    context.add_cookies([{"name": name, "value": value, "url": url, "secure": True}])


def address(site: Site, name: str) -> str:
    found = site.plan.settings.outside(site.plan.settings.port(name))
    assert found
    return found


def asks_the_api_at(site: Site) -> str:
    direct = site.plan.settings.page_requests == "direct"
    return address(site, "BACKEND_PORT" if direct else "FRONTEND_PORT")


def test_a_click_is_one_trace_from_the_browser_to_the_database(
    workspace: Site, visitor: Page
) -> None:
    asked: list[str] = []
    visitor.on("request", lambda request: asked.append(request.url))
    since = time.time_ns()
    visitor.get_by_role("link", name="Worf").first.click()
    visitor.get_by_role("heading", name="@worf").wait_for()
    visitor.get_by_role("article").first.wait_for()

    spans = whole_trace(workspace, "click open person", since, EVERYBODY)

    database = next(span for span in spans if span.name == "SELECT cruddur")
    assert chain(spans, database) == [
        ("frontend-react", "INTERNAL", "click open person"),
        ("frontend-react", "CLIENT", "GET /api/activities/@{handle}"),
        ("backend-flask", "SERVER", "GET /api/activities/@<handle>"),
        ("backend-flask", "CLIENT", "SELECT cruddur"),
    ]
    # and a browser of another machine could have asked all of it
    hosts = {urlsplit(url).netloc for url in asked}
    here = {address(workspace, "FRONTEND_PORT"), asks_the_api_at(workspace)}
    assert hosts == {urlsplit(url).netloc for url in here}


def test_a_post_is_one_trace(workspace: Site, visitor: Page) -> None:
    since = time.time_ns()
    visitor.get_by_label("What happened?").fill("Said in a workspace")
    visitor.get_by_role("button", name="Post").click()
    visitor.get_by_text("Posted.").wait_for()

    spans = whole_trace(workspace, "submit post", since, EVERYBODY)

    insert = next(span for span in spans if span.name == "INSERT cruddur")
    assert chain(spans, insert)[0] == ("frontend-react", "INTERNAL", "submit post")


def test_what_vendors_show_can_be_opened(workspace: Site, visitor: Page) -> None:
    since = time.time_ns()
    visitor.get_by_role("button", name="Raise an error").click()
    [root] = wait_for("the click", lambda: clicks(workspace, since), seconds=ARRIVAL_SECONDS)

    items = wait_for(
        "both items at Rollbar",
        lambda: workspace.emulators.holds("rollbar", root.trace_id).get("items", []),
        until=lambda found: len(found) == 2,
        seconds=ARRIVAL_SECONDS,
    )
    urls = {one.get("platform"): one["request"]["url"] for one in items}
    assert urls.pop("browser").startswith(f"{address(workspace, 'FRONTEND_PORT')}/")
    assert list(urls.values()) == [f"{asks_the_api_at(workspace)}/api/debug/error"]

    segments = wait_for(
        "X-Ray's segment of the backend",
        lambda: [
            one
            for one in workspace.emulators.holds("xray", root.trace_id).get("traces", [])
            if one["name"] == "backend-flask" and "http" in one
        ],
        seconds=ARRIVAL_SECONDS,
    )
    assert segments[0]["http"]["request"]["url"] == f"{asks_the_api_at(workspace)}/api/debug/error"


def test_verify_goes_the_pages_way(workspace: Site) -> None:
    if workspace.plan.settings.page_requests == "direct":
        pytest.skip("only the test's browser knows that host name")
    report = verify(workspace.plan, VERIFY_SECONDS, start=Start.PAGE)
    assert report.complete, report.deliveries


def clicks(site: Site, since: int) -> list[Span]:
    roots = (one for one in site.spans() if one.start >= since and not one.parent_id)
    return [one for one in roots if one.name.startswith("click")]


def test_another_port_of_the_workspace_is_a_stranger(
    workspace: Site, visitor: Page, rules: Rules
) -> None:
    """Somebody else's program may listen there, in the same browser and with the same login."""
    stranger = address(workspace, "EMULATOR_CONTROL_PORT")
    target = asks_the_api_at(workspace)
    public = rules.public
    ports = ("EMULATOR_CONTROL_PORT", "FRONTEND_PORT")
    rules.public |= {workspace.plan.settings.port(name) for name in ports}
    try:
        visitor.goto(f"{stranger}/health")
        said = visitor.evaluate(
            """async ([url, body]) => {
                const headers = { "Content-Type": "application/json" };
                const posted = { method: "POST", headers, body };
                try { return (await fetch(url, posted)).status; }
                catch (error) { return error.name; }
            }""",
            [f"{target}/api/activities", "{}"],
        )
    finally:
        rules.public = public
    assert said == "TypeError"
