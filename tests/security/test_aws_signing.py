"""The port that signs with the collector's AWS credentials: for X-Ray's sampling, nothing else."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import requests

from tests.unit.collector.running import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.collector, pytest.mark.only_native]

Arrived = list[tuple[str, str]]


@pytest.fixture
def xray() -> Iterator[tuple[str, Arrived]]:
    """An address, and path and signature of what arrives there."""
    arrived: Arrived = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            arrived.append((self.path, self.headers.get("Authorization", "")))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", arrived
    server.shutdown()
    server.server_close()


def test_only_a_samplers_requests_are_signed(
    xray: tuple[str, Arrived], binary: Path, tmp_path: Path
) -> None:
    url, arrived = xray
    with running(binary, tmp_path, environment={"XRAY_ENDPOINT": url}) as collector:
        port = collector.url("AWSPROXY_PORT")
        for path in ("TraceSegments", "TraceSummaries", "DeleteSamplingRule", "", "?Action=x"):
            assert requests.post(f"{port}/{path}", json={}, timeout=5).status_code == 403, path
        from_a_page = {"Origin": "http://evil.example"}
        answer = requests.post(f"{port}/GetSamplingRules", json={}, headers=from_a_page, timeout=5)
        assert answer.status_code == 403
        assert arrived == []

        for path in ("GetSamplingRules", "SamplingTargets"):
            assert requests.post(f"{port}/{path}", json={}, timeout=5).status_code == 200

    assert [path for path, _ in arrived] == ["/GetSamplingRules", "/SamplingTargets"]
    assert all("/xray/aws4_request" in signature for _, signature in arrived)
