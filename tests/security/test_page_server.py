"""The page's server: what it tells browsers to refuse, and what it sends on to a collector."""

from __future__ import annotations

import http.client
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from stack.python_env import ensure_env
from stack.services import make_plan
from stack.settings import ROOT, load_settings
from stack.waiting import wait_for
from tests.local_http import Handler, serve
from tests.ports import free_ports

pytestmark = pytest.mark.only_native

JSON = "application/json"
BODY = b'{"resourceSpans":[]}'
TOKEN = "not-a-secret"

FORWARD_SECONDS = 3
"""So long the page's server waits for the collector (services/frontend/server/page/forward.py)."""

TRIES = 5


@dataclass
class FakeCollector:
    """`asked`: path and headers of each request. It answers `status`, after `busy` is set. Of the
    backend and of Rollbar it can stand in the place, too.
    """

    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    status: int = 200
    busy: threading.Event = field(default_factory=threading.Event)
    url: str = ""


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    fake = FakeCollector()
    fake.busy.set()

    class Receiver(Handler):
        def respond(self) -> None:
            self.body()
            fake.asked.append((self.path, dict(self.headers)))
            fake.busy.wait(60)
            self.answer(fake.status, b"{}")

    with serve(Receiver) as fake.url:
        yield fake
        fake.busy.set()


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[str]:
    """The page's own server with a page of one line; gives its address."""
    (folder / "index.html").write_text("<!doctype html><title>page</title>")
    plan = make_plan(load_settings(ROOT, {"PAGE": "on"}), ROOT, "native")
    process = plan.process("frontend-react")
    assert process.python is not None
    ensure_env(process.python)
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    own = {"PAGE_DIR": str(folder), "BIND": f"127.0.0.1:{port}", "FRONTEND_ORIGINS": url}
    with subprocess.Popen(process.argv, cwd=process.cwd, env={**own, **environment}) as server:
        try:
            wait_for("the page", lambda: requests.get(f"{url}/health", timeout=10).ok, seconds=60)
            yield url
        finally:
            server.terminate()


@pytest.fixture
def page(collector: FakeCollector, tmp_path: Path) -> Iterator[str]:
    with serving(
        tmp_path,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_EXPORTER_OTLP_HEADERS=f"authorization=Bearer%20{TOKEN}",
    ) as url:
        yield url


def post(page: str, **headers: str) -> int:
    return requests.post(
        f"{page}/v1/traces", data=BODY, headers={"Content-Type": JSON, **headers}, timeout=60
    ).status_code


@pytest.mark.parametrize("path", ["/", "/health", "/config.js", "/v1/traces", "/gone.js"])
def test_every_answer_tells_browsers_what_to_refuse(page: str, path: str) -> None:
    headers = requests.get(f"{page}{path}", timeout=30).headers

    policy = dict(
        rule.strip().split(" ", 1) for rule in headers["Content-Security-Policy"].split(";")
    )
    assert policy.get("default-src") == "'self'"
    assert (
        policy.get("frame-ancestors")
        == policy.get("object-src")
        == policy.get("base-uri")
        == "'none'"
    )
    assert policy.get("form-action") == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers.get("X-Content-Type-Options") == "nosniff"
    assert headers.get("X-Frame-Options") == "DENY"
    assert headers.get("Referrer-Policy") == "no-referrer"
    assert headers.get("Cross-Origin-Opener-Policy") == "same-origin"
    assert headers.get("Cross-Origin-Resource-Policy") == "same-origin"
    assert "geolocation=()" in headers.get("Permissions-Policy", "")


def test_the_page_is_told_to_send_here_and_of_nobody_else(
    page: str, collector: FakeCollector
) -> None:
    told = requests.get(f"{page}/config.js", timeout=30)

    assert '"collector": ""' in told.text
    assert TOKEN not in told.text
    assert collector.url not in told.headers["Content-Security-Policy"]


def test_spans_go_on_with_the_servers_own_token(page: str, collector: FakeCollector) -> None:
    assert post(page, Origin=page, Authorization="Bearer mine", Cookie="session=mine") == 200

    [(path, headers)] = collector.asked
    assert path == "/v1/traces"
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert "mine" not in str(headers)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        # A name of another site's that was bound to 127.0.0.1 anew.
        ({"Origin": "http://evil.example", "Host": "evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Length": str((1 << 20) + 1)}, 413),
        ({"Transfer-Encoding": "chunked"}, 411),
    ],
)
def test_what_is_not_the_pages_is_refused(
    page: str, collector: FakeCollector, headers: dict[str, str], status: int
) -> None:
    with requests.Session() as session:
        asked = session.prepare_request(
            requests.Request("POST", f"{page}/v1/traces", headers={"Content-Type": JSON})
        )
        asked.headers.pop("Content-Length", None)
        asked.headers.update(headers)
        answer = session.send(asked, timeout=30)

    assert answer.status_code == status
    assert collector.asked == []


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics", "/v1/traces/../logs"])
def test_nothing_but_spans_goes_on(page: str, collector: FakeCollector, path: str) -> None:
    answer = requests.post(f"{page}{path}", data=BODY, headers={"Content-Type": JSON}, timeout=30)

    assert answer.status_code == 405
    assert collector.asked == []


@pytest.mark.parametrize(("status", "seen"), [(401, 502), (403, 502), (429, 429), (503, 503)])
def test_a_refusal_is_handed_on_unless_it_is_the_servers_own(
    page: str, collector: FakeCollector, status: int, seen: int
) -> None:
    collector.status = status

    assert post(page, Origin=page) == seen


def test_a_collector_that_hangs_does_not_keep_the_page_from_being_served(
    page: str, collector: FakeCollector
) -> None:
    # given
    collector.busy.clear()
    seen: list[int] = []
    for _ in range(TRIES):
        collector.asked.clear()
        seen.clear()
        threads = [threading.Thread(target=lambda: seen.append(post(page))) for _ in range(6)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        wait_for("the answers of those that need not hang", lambda: len(seen) >= 4, seconds=60)
        wait_for("two that hang", lambda: len(collector.asked) >= 2, seconds=60)
        # when
        answer = requests.get(f"{page}/health", timeout=30)
        took = time.monotonic() - began
        # then
        assert answer.ok
        for thread in threads:
            thread.join(60)
        assert set(seen) == {503}
        if took < FORWARD_SECONDS:
            break
    # One that has hung for so long makes room: on a machine that is held up a third would hang too.
    assert took < FORWARD_SECONDS, "never as fast as the page's server gives up"
    assert len(collector.asked) == 2


def test_without_an_endpoint_nothing_is_sent_on(tmp_path: Path) -> None:
    with serving(tmp_path) as page:
        assert post(page, Origin=page) == 405
        assert requests.post(f"{page}/api/activities", json={}, timeout=30).status_code == 405
        assert requests.get(f"{page}/api/activities/home", timeout=30).text.startswith("<!doctype")


PUBLIC = "https://3000-x.ws.test"


@pytest.fixture
def in_workspace(collector: FakeCollector, tmp_path: Path) -> Iterator[str]:
    """A page's server that asks the backend for the page, in a cloud workspace."""
    with serving(
        tmp_path,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        BACKEND_UPSTREAM=collector.url,
        ROLLBAR_UPSTREAM=f"{collector.url}/api/1/",
        ROLLBAR_CLIENT_TOKEN=TOKEN,
        PAGE_URL=PUBLIC,
        FRONTEND_ORIGINS=f"{PUBLIC},https://localhost:3000",
    ) as url:
        yield url


def test_in_a_workspace_the_browser_is_told_of_no_other_address(
    in_workspace: str, collector: FakeCollector
) -> None:
    told = requests.get(f"{in_workspace}/config.js", timeout=30)

    assert '"backend": ""' in told.text
    assert '"endpoint": "/rollbar/"' in told.text
    assert collector.url not in told.text
    assert "connect-src 'self';" in told.headers["Content-Security-Policy"]


def test_the_backend_gets_the_trace_and_the_pages_public_address_and_no_cookie(
    in_workspace: str, collector: FakeCollector
) -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    sent = {"traceparent": trace, "Cookie": "session=mine", "Authorization": "Bearer mine"}
    spoofed = {
        "X-Forwarded-Proto": "gopher",
        "X-Forwarded-Host": "evil.example",
        "Script-Name": "/x",
    }

    url = f"{in_workspace}/api/activities/@w%20orf?term=a%26b"
    answer = requests.get(url, headers={**sent, **spoofed}, timeout=30)

    assert answer.status_code == 200
    [(path, headers)] = collector.asked
    assert path == "/api/activities/@w%20orf?term=a%26b"
    assert (headers["traceparent"], headers["Host"]) == (trace, "3000-x.ws.test:443")
    assert (headers["X-Forwarded-Proto"], headers["X-Forwarded-For"]) == ("https", "127.0.0.1")
    names = {name.lower() for name in headers}
    assert not {"cookie", "authorization", "x-forwarded-host", "script-name"} & names


def test_errors_go_to_rollbars_items_and_nowhere_else_there(
    in_workspace: str, collector: FakeCollector
) -> None:
    headers = {"Origin": PUBLIC, "X-Rollbar-Access-Token": TOKEN}
    statuses = [
        requests.post(f"{in_workspace}{path}", json={}, headers=headers, timeout=30).status_code
        for path in ("/rollbar/item/", "/rollbar/", "/rollbar/deploy/")
    ]
    assert statuses == [200, 405, 405]
    [(path, seen)] = collector.asked
    assert (path, seen["x-rollbar-access-token"]) == ("/api/1/item/", TOKEN)


@pytest.mark.parametrize(("debug", "asked"), [("true", ["/rollbar/test"]), ("false", [])])
def test_an_error_is_made_on_purpose_only_where_that_is_wanted(
    collector: FakeCollector, tmp_path: Path, debug: str, asked: list[str]
) -> None:
    with serving(tmp_path, BACKEND_UPSTREAM=collector.url, DEBUG_ROUTES=debug) as page:
        requests.get(f"{page}/rollbar/test", timeout=30)
    assert [path for path, _ in collector.asked] == asked


@pytest.mark.parametrize("origin", [PUBLIC, "https://localhost:3000"])
def test_the_pages_names_in_a_workspace_may_post(
    in_workspace: str, collector: FakeCollector, origin: str
) -> None:
    url = f"{in_workspace}/api/activities"
    assert requests.post(url, json={}, headers={"Origin": origin}, timeout=30).ok
    assert post(in_workspace, Origin=origin) == 200
    assert [path for path, _ in collector.asked] == ["/api/activities", "/v1/traces"]


@pytest.mark.parametrize(
    ("asked", "headers", "status"),
    [
        ("POST /api/activities", {"Origin": "https://4567-x.ws.test"}, 403),
        ("POST /api/activities", {"Origin": "https://3000-x.ws.test.evil.example"}, 403),
        ("POST /api/activities", {"Origin": "null"}, 403),
        ("GET /api/activities/home", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("POST /api/activities", {"Content-Type": "text/plain"}, 415),
        ("POST /api/activities", {"Content-Length": str((1 << 20) + 1)}, 413),
        ("POST /api/activities", {"Transfer-Encoding": "chunked"}, 411),
        ("OPTIONS /api/activities", {"Origin": PUBLIC}, 405),
        ("DELETE /api/activities", {}, 405),
        ("GET /api/../rollbar/test", {}, 404),
        ("GET /api/%2e%2e/rollbar/test", {}, 404),
        ("GET /api//evil.example/", {}, 404),
    ],
)
def test_the_backend_is_asked_for_nothing_that_is_not_the_pages(
    in_workspace: str,
    collector: FakeCollector,
    asked: str,
    headers: dict[str, str],
    status: int,
) -> None:
    method, path = asked.split()
    assert raw(in_workspace, method, path, {"Content-Type": JSON, **headers}) == status
    assert collector.asked == []


@pytest.mark.parametrize("target", ["http://evil.example/api/x", "evil.example:443"])
def test_it_is_no_open_proxy(in_workspace: str, collector: FakeCollector, target: str) -> None:
    """Whatever address a request names, it goes to the backend or nowhere."""
    method = "CONNECT" if target.endswith(":443") else "GET"
    raw(in_workspace, method, target, {})
    assert [path for path, _ in collector.asked] in ([], ["/api/x"])


def raw(page: str, method: str, path: str, headers: dict[str, str]) -> int:
    """The status; nothing of what is asked is put right on its way."""
    connection = http.client.HTTPConnection(page.removeprefix("http://"), timeout=30)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if method == "POST" and not {"Content-Length", "Transfer-Encoding"} & {*headers}:
            connection.putheader("Content-Length", "0")
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_backend_that_hangs_does_not_keep_the_page_from_being_served(
    in_workspace: str, collector: FakeCollector
) -> None:
    collector.busy.clear()
    seen: list[int] = []

    def ask() -> None:
        seen.append(requests.get(f"{in_workspace}/api/slow", timeout=60).status_code)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    wait_for("those that need not hang", lambda: len(seen) >= 3, seconds=60)
    assert requests.get(f"{in_workspace}/health", timeout=30).ok
    collector.busy.set()
    for thread in threads:
        thread.join(60)
    assert sorted(seen) == [200, 200, 200, 503, 503, 503]


def test_a_certificate_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    plan = make_plan(load_settings(ROOT, {"PAGE": "on"}), ROOT, "native")
    process = plan.process("frontend-react")
    (tmp_path / "index.html").touch()
    ended = subprocess.run(
        process.argv,
        cwd=process.cwd,
        env={
            "PAGE_DIR": str(tmp_path),
            "BIND": "127.0.0.1:0",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "gone"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode != 0
    assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in ended.stderr
    assert "Traceback" not in ended.stderr
