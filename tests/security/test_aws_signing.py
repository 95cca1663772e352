"""The port that signs with the collector's AWS credentials: for X-Ray's sampling, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
import requests

from tests.local_http import Handler, serve
from tests.unit.collector.running import running

pytestmark = [pytest.mark.collector, pytest.mark.only_native]

Arrived = list[tuple[str, str]]

SAMPLERS = ("/GetSamplingRules", "/SamplingTargets")


def operations() -> set[str]:
    """The path of each question that X-Ray answers."""
    xray = botocore.session.get_session().get_service_model("xray")
    return {xray.operation_model(name).http["requestUri"] for name in xray.operation_names}


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
    others = operations() - {*SAMPLERS}
    assert len(others) > 20
    with running(binary, tmp_path, environment={"XRAY_ENDPOINT": url}) as collector:
        port = collector.url("AWSPROXY_PORT")
        for path in (*others, "/", "/?Action=x", "//GetSamplingRules"):
            assert requests.post(f"{port}{path}", json={}, timeout=60).status_code == 403, path
        from_a_page = {"Origin": "http://evil.example"}
        answer = requests.post(f"{port}{SAMPLERS[0]}", json={}, headers=from_a_page, timeout=60)
        assert answer.status_code == 403
        assert arrived == []

        for path in SAMPLERS:
            assert requests.post(f"{port}{path}", json={}, timeout=60).status_code == 200

    assert [path for path, _ in arrived] == [*SAMPLERS]
    assert all("/xray/aws4_request" in signature for _, signature in arrived)
