"""Fresh keys for every vendor, a stack that runs with them, and every place where they must not be.

The vendors are on loopback, refuse everything, and repeat the key in their answers.
"""

from __future__ import annotations

import re
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil
import pytest
import requests

from stack.fragments import load, names, variables
from stack.waiting import wait_for
from tests.integration.harness.checkout import Checkout
from tests.security.repeating_vendor import RepeatingVendor, repeating_vendor
from tests.security.vendor_keys import INSTANCE, fresh_keys, keys_in

# The first test waits for the stack and for every command in it.
pytestmark = [pytest.mark.only_native, pytest.mark.timeout(900)]

SENT_ELSEWHERE = {"HONEYCOMB_API_KEY", "ROLLBAR_ACCESS_TOKEN", "OTLP"}
"""To addresses that cannot be set, where a proxy refuses to connect, and to the collector."""

OTLP_TOKENS = {f".run/access/{side}/token" for side in ("client", "server")}

OVER_GRPC = {"DASH0_AUTH_TOKEN"}

COMMANDS = (
    ("status",),
    ("status", "--json"),
    ("verify", "--deadline=1"),
    ("verify", "--json", "--deadline=1"),
    ("doctor",),
    ("doctor", "--json"),
    ("env", "orders", "--sdk=rollbar,watchtower", "--format=json"),
    ("validate",),
    ("config",),
    ("config", "--for=adot"),
    ("provision", "--dry-run"),
    ("queries",),
    ("break", "honeycomb", "hang"),
    ("heal",),
    ("replay",),
    ("reload",),
    ("logs", "--lines=100000"),
    ("traces",),
)


@dataclass
class Seen:
    """What the keys may have come to. `limits`: how large a core file each process may leave."""

    checkout: Checkout
    vendor: RepeatingVendor
    keys: dict[str, str]
    outputs: dict[str, str] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)
    command_lines: set[str] = field(default_factory=set)
    limits: dict[str, tuple[int, int]] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)

    def run(self, *words: str) -> None:
        proxied = {"HTTPS_PROXY": self.vendor.url}
        self.outputs[" ".join(words)] = self.checkout.run(*words, environment=proxied).output

    def holders(self) -> dict[str, int]:
        """The files that hold any key: their mode by name."""
        found = {}
        for path in self.checkout.folder.rglob("*"):
            try:
                if path.is_symlink() or not path.is_file():
                    continue
                if keys_in(path.read_bytes().decode("latin-1"), self.keys):
                    name = str(path.relative_to(self.checkout.folder))
                    found[name] = stat.S_IMODE(path.stat().st_mode)
            except FileNotFoundError:
                continue  # gone by now, as what a queue is written anew in
        return found


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    with repeating_vendor() as vendor:
        checkout = Checkout(tmp_path_factory.mktemp("keys"))
        found = Seen(checkout, vendor, fresh_keys())
        checkout.settings |= found.keys | _with_every_vendor(vendor.url)
        over = threading.Event()
        watching = threading.Thread(target=_watch, args=(found, over))
        watching.start()
        try:
            found.run("certificates")
            token = checkout.run_dir / "access/client/token"
            found.keys["OTLP"] = token.read_text().strip()
            found.run("up")
            _use(found)
            found.run("down")
            found.left = found.holders()
            yield found
        finally:
            over.set()
            watching.join()
            checkout.close()


def _with_every_vendor(url: str) -> dict[str, str]:
    # The other fragments have no key.
    chosen = [name for name in names() if any(key in fresh_keys() for key in variables(load(name)))]
    named = {name for fragment in chosen for name in variables(load(fragment))}
    endpoints = {name: url for name in named if name.endswith("ENDPOINT")}
    return {
        "WITH": ",".join(chosen),
        "AWS_TELEMETRY": "live",
        "OTLP_ACCESS": "token",
        **endpoints,
        "DASH0_ENDPOINT": url.removeprefix("http://"),
        "GRAFANA_CLOUD_ENDPOINT": f"{url}/otlp",
        "GRAFANA_CLOUD_INSTANCE_ID": INSTANCE,
    }


def _watch(seen: Seen, over: threading.Event) -> None:
    while not over.wait(0.1):
        for process in psutil.process_iter():
            try:
                seen.command_lines.add("\0".join(process.cmdline()))
            except psutil.Error:
                continue  # gone by now


def _use(seen: Seen) -> None:
    """Traffic, every command, a bad config; then a look at processes, pages and files."""
    checkout = seen.checkout
    for path in ("/api/activities/home", "/api/activities/nobody", "/api/boom"):
        requests.get(f"{checkout.url}{path}", timeout=60)
    wait_for(
        "every key at the vendor",
        lambda: keys_in(" ".join(list(seen.vendor.got)), seen.keys),
        until=lambda names: {*_keys_by_http(seen)} <= {*names},
        seconds=90,
    )
    good = checkout.config.read_text()
    checkout.config.write_text(good.replace("x-honeycomb-team", "x-honeycomb-team\n!!", 1))
    seen.run("reload")
    seen.outputs["reload of a bad config"] = seen.outputs["reload"]
    checkout.config.write_text(good)
    for words in COMMANDS:
        seen.run(*words)
    for process in checkout.processes():
        try:
            name = f"{process.name()} {process.pid}"
            seen.limits[name] = process.rlimit(psutil.RLIMIT_CORE)
        except psutil.NoSuchProcess:
            continue  # gone by now
    zpages = f"http://127.0.0.1:{checkout.ports['COLLECTOR_ZPAGES_PORT']}/debug/"
    _read_pages(seen, {f"{zpages}{name}z" for name in ("service", "pipeline", "extension")})
    _read_pages(seen, {f"http://127.0.0.1:{checkout.ports['COLLECTOR_METRICS_PORT']}/metrics"})
    seen.files = seen.holders()


def _keys_by_http(seen: Seen) -> set[str]:
    of_aws = {name for name in seen.keys if name.startswith("AWS_")}
    return {*seen.keys} - SENT_ELSEWHERE - OVER_GRPC - of_aws


def _read_pages(seen: Seen, urls: set[str]) -> None:
    """These pages and all that they lead to on the same address."""
    while urls:
        url = urls.pop()
        answer = requests.get(url, timeout=60)
        if not answer.ok:
            continue
        seen.pages[url] = answer.text
        links = {requests.compat.urljoin(url, link) for link in _links(answer.text)}
        origin = "/".join(url.split("/")[:3])
        urls |= {link for link in links if link.startswith(origin)} - {*seen.pages}


def _links(page: str) -> list[str]:
    return [link.replace("&amp;", "&") for link in re.findall(r'href="([^"#]+)"', page)]


def test_the_keys_were_in_use(seen: Seen) -> None:
    assert {*_keys_by_http(seen)} <= {*keys_in(" ".join(seen.vendor.got), seen.keys)}
    assert "✓ waiting for the trace" in seen.outputs["up"]


@pytest.mark.parametrize(
    "command",
    [
        "certificates",
        "up",
        "reload of a bad config",
        *(" ".join(words) for words in COMMANDS),
        "down",
    ],
)
def test_no_command_prints_a_key(seen: Seen, command: str) -> None:
    output = seen.outputs[command]
    assert output
    assert "Traceback (most recent" not in output or command.startswith("logs")
    # `env` is asked for the token where OTLP_ACCESS wants one; for no key of a vendor.
    assert keys_in(output, seen.keys) == (["OTLP"] if command.startswith("env ") else [])


def test_no_command_line_holds_a_key(seen: Seen) -> None:
    assert any("otelcol" in line for line in seen.command_lines)
    assert any("gunicorn" in line for line in seen.command_lines)
    assert keys_in("\n".join(seen.command_lines), seen.keys) == []


def test_no_page_of_the_collector_holds_a_key(seen: Seen) -> None:
    assert len(seen.pages) >= 4
    assert any("otelcol_exporter" in text for text in seen.pages.values())
    held = {url: keys_in(text, seen.keys) for url, text in seen.pages.items()}
    assert [url for url, found in held.items() if found] == []


def test_only_files_that_nobody_else_may_read_hold_keys(seen: Seen) -> None:
    """Supervisor's, which starts a process again that died, and the senders' token. Not logs,
    copies of the config, queues, dead letters.
    """
    del seen.files[".env"]
    assert seen.files == dict.fromkeys({".run/supervisord.conf", *OTLP_TOKENS}, 0o600)


def test_down_leaves_no_key_behind(seen: Seen) -> None:
    assert {*seen.left} == {".env", *OTLP_TOKENS}


def test_no_process_leaves_a_core_file(seen: Seen) -> None:
    assert len(seen.limits) >= 6
    assert {*seen.limits.values()} == {(0, 0)}, seen.limits
