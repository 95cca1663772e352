"""What a fragment changes of the containers: the ports and files that its compose file names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stack.applied_config import apply_config, wanted_config
from stack.engine import Engine
from stack.fragments import names
from stack.runtimes import compose
from stack.services import make_plan
from stack.settings import ROOT, load_settings
from tests.unit.compose_cli import need_compose


def collector(folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """The collector's service as Compose understands it. Needs no engine."""
    need_compose()
    plan = make_plan(load_settings(ROOT, {"RUN_DIR": str(folder), **environment}), ROOT, "docker")
    apply_config(plan, wanted_config(plan))
    engine = Engine("unix:///var/run/docker.sock", "20.10.24", "2.26.1", "0.13.1")
    variables = compose.compose_variables(plan, engine)
    words = ("config", "--format=json")
    shown = compose.compose(plan, *words, seconds=60, variables=variables)
    found: dict[str, Any] = json.loads(shown)["services"]["collector"]
    return found


def test_the_daemons_place_is_open_by_udp_and_tcp_on_loopback(tmp_path: Path) -> None:
    # when
    service = collector(tmp_path, {"WITH": "xray-daemon", "XRAY_DAEMON_UDP_PORT": "2009"})
    # then
    ports = {
        (one["protocol"], one["host_ip"], one["published"], one["target"])
        for one in service["ports"]
    }
    assert {("udp", "127.0.0.1", "2009", 2009), ("tcp", "127.0.0.1", "2000", 2000)} <= ports


def test_certificates_are_seen_inside(tmp_path: Path) -> None:
    # given
    for name in ("ca.pem", "mine.pem", "mine.key"):
        (tmp_path / name).touch()
    given = {
        "WITH": "otlp-mtls",
        "OTLP_MTLS_ENDPOINT": "https://gateway:4318",
        "OTLP_MTLS_CA_FILE": str(tmp_path / "ca.pem"),
        "OTLP_MTLS_CERT_FILE": str(tmp_path / "mine.pem"),
        "OTLP_MTLS_KEY_FILE": str(tmp_path / "mine.key"),
    }
    # when
    service = collector(tmp_path, given)
    # then
    inside = {one["target"]: one for one in service["volumes"]}
    for kind, file in (("CA", "ca.pem"), ("CERT", "mine.pem"), ("KEY", "mine.key")):
        mounted = inside[service["environment"][f"OTLP_MTLS_{kind}_FILE"]]
        assert mounted["source"] == str(tmp_path / file)
        assert mounted["read_only"] is True


def test_without_them_nothing_is_added(tmp_path: Path) -> None:
    # when
    service = collector(tmp_path, {})
    # then
    assert "udp" not in {port["protocol"] for port in service["ports"]}
    assert not [one for one in service["volumes"] if "mtls" in one["target"]]


@pytest.mark.parametrize("file", [file.name for file in (ROOT / "compose").glob("with-*.yaml")])
def test_each_such_file_belongs_to_a_fragment(file: str) -> None:
    assert file.removeprefix("with-").removesuffix(".yaml") in names(ROOT)
