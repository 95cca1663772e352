"""The page's server: what it tells browsers to refuse, and what it sends on to a collector."""

from __future__ import annotations

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
    """`asked`: path and headers of each request. It answers `status`, after `busy` is set."""

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
