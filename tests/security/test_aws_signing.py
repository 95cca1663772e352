"""The port that signs with the collector's AWS credentials: for X-Ray's sampling, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from tests.local_http import Handler, serve
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

    class XRay(Handler):
        def respond(self) -> None:
            self.body()
            arrived.append((self.path, self.headers.get("Authorization", "")))
            self.answer(200, b"{}")

    with serve(XRay) as url:
        yield url, arrived


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
