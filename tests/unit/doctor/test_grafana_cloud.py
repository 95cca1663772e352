"""Grafana Cloud: when it is live, what its keys look like, and what doctor says of each answer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from emulators.client import Client
from stack.collector_config.text import CONFIG_FILE
from stack.doctor.setup import Setup
from stack.errors import StackError
from stack.settings import ROOT, Settings, load_settings
from stack.vendors import vendors
from stack.vendors.grafana_cloud import NAME, check_grafana_cloud
from stack.vendors.model import Vendor
from tests.unit.doctor.playing import Server, only

TOKEN = "glc_" + "c4n4ry" * 8
KEYS = {
    "GRAFANA_CLOUD_ENDPOINT": "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp",
    "GRAFANA_CLOUD_INSTANCE_ID": "123456",
    "GRAFANA_CLOUD_TOKEN": TOKEN,
}
READS = {
    "GRAFANA_CLOUD_URL": "https://shop.grafana.net",
    "GRAFANA_CLOUD_READ_TOKEN": "glsa_" + "c4n4ry" * 6,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "collector/vendors", tmp_path / "collector/vendors")
    shutil.copy(ROOT / CONFIG_FILE, tmp_path / CONFIG_FILE)
    return tmp_path


def chosen(root: Path, environment: Mapping[str, str]) -> tuple[Settings, Vendor | None]:
    settings = load_settings(root, environment)
    found = vendors(settings, "127.0.0.1")
    return settings, next((vendor for vendor in found if vendor.name == NAME), None)


@pytest.fixture
def live(make: Callable[..., Setup], server: Server, root: Path) -> Setup:
    """Grafana Cloud played by `server`."""
    _, vendor = chosen(root, {**KEYS, "GRAFANA_CLOUD_ENDPOINT": f"{server.url}/otlp"})
    assert vendor is not None
    server.body = {}
    return replace(make(up=False), vendors=(vendor,))


def test_its_token_alone_makes_it_live_and_merges_its_fragment(root: Path) -> None:
    settings, vendor = chosen(root, KEYS)

    assert vendor is not None
    assert (vendor.live, vendor.why) == (True, "GRAFANA_CLOUD_TOKEN is set")
    assert vendor.collector == KEYS
    assert settings.fragments == (NAME,)
    assert TOKEN not in repr(settings)
    assert TOKEN not in repr(vendor)


def test_without_a_token_it_is_played_where_it_was_asked_for(root: Path) -> None:
    _, unasked = chosen(root, {})
    _, asked = chosen(root, {"WITH": NAME, "EMULATOR_GRAFANA_CLOUD_PORT": "9999"})

    assert unasked is None
    assert asked is not None
    assert (asked.live, asked.url) == (False, "http://127.0.0.1:9999/otlp")


@pytest.mark.parametrize("missing", KEYS)
def test_the_three_go_together(root: Path, missing: str) -> None:
    given = {name: value for name, value in KEYS.items() if name != missing}

    with pytest.raises(StackError, match=f"{missing}.* go together"):
        load_settings(root, given)


@pytest.mark.parametrize("missing", READS)
def test_so_do_the_two_that_read(root: Path, missing: str) -> None:
    given = {name: value for name, value in READS.items() if name != missing}

    with pytest.raises(StackError, match=f"{missing}.* go together"):
        load_settings(root, KEYS | given)


@pytest.mark.parametrize(
    ("name", "wrong", "hint"),
    [
        ("GRAFANA_CLOUD_ENDPOINT", "https://shop.grafana.net", "otlp-gateway-prod-eu-west-2"),
        (
            "GRAFANA_CLOUD_ENDPOINT",
            "https://otlp-gateway-prod-us-east-0.grafana.net",
            "grafana.net/otlp",
        ),
        ("GRAFANA_CLOUD_INSTANCE_ID", "shop", "number"),
        ("GRAFANA_CLOUD_TOKEN", READS["GRAFANA_CLOUD_READ_TOKEN"], "glsa_ is a service account's"),
        ("GRAFANA_CLOUD_READ_TOKEN", TOKEN, "glc_ is an access policy's"),
        ("GRAFANA_CLOUD_URL", KEYS["GRAFANA_CLOUD_ENDPOINT"], "mystack.grafana.net"),
    ],
)
def test_a_key_in_the_place_of_another_is_known_by_its_look(
    root: Path, name: str, wrong: str, hint: str
) -> None:
    with pytest.raises(StackError) as refused:
        load_settings(root, {**KEYS, **READS, name: wrong})

    assert name in refused.value.what
    assert hint in refused.value.todo
    assert wrong not in str(refused.value)


def test_a_key_that_reads_is_used_for_it_and_shows_where_to_look(root: Path) -> None:
    _, without = chosen(root, KEYS)
    _, reads = chosen(root, KEYS | READS)

    assert without is not None
    assert without.read is None
    assert without.page_of is None
    assert reads is not None
    assert reads.read is not None
    assert reads.page_of is not None
    assert reads.page_of("ab" * 16).startswith("https://shop.grafana.net/explore?")


def test_a_good_token_is_tried_for_each_signal(live: Setup, server: Server) -> None:
    finding = only(check_grafana_cloud(live))

    assert finding.verdict == "ok"
    assert [path for _, path, _ in server.seen] == [
        f"/otlp/v1/{signal}" for signal in ("traces", "metrics", "logs")
    ]
    assert {headers["Authorization"].partition(" ")[0] for _, _, headers in server.seen} == {
        "Basic"
    }


@pytest.mark.parametrize(
    ("path", "status", "verdict", "todo"),
    [
        ("traces", 401, "problem", "traces:write"),
        ("metrics", 403, "problem", "metrics:write"),
        ("logs", 401, "problem", "names that stack's zone"),
        ("traces", 404, "problem", "ends in /otlp"),
        ("logs", 429, "warning", "rate limits"),
        ("logs", 502, "problem", "status.grafana.com"),
        ("metrics", 400, "ok", ""),
    ],
)
def test_each_answer_says_what_to_do(
    live: Setup, server: Server, *, path: str, status: int, verdict: str, todo: str
) -> None:
    # given
    server.by_path[f"/otlp/v1/{path}"] = (status, {"message": "no"})
    # when
    finding = only(check_grafana_cloud(live))
    # then
    assert finding.verdict == verdict
    assert todo in finding.todo
    assert TOKEN not in f"{finding.what} {finding.todo}"


def test_a_zone_that_is_not_there(live: Setup) -> None:
    # given
    [vendor] = live.vendors
    nowhere = replace(live, vendors=(replace(vendor, url="http://127.0.0.1:9/otlp"),))
    # when
    finding = only(check_grafana_cloud(nowhere))
    # then
    assert finding.verdict == "problem"
    assert "the zone in GRAFANA_CLOUD_ENDPOINT" in finding.todo


def test_a_token_that_does_not_read_is_a_warning(
    make: Callable[..., Setup], server: Server, root: Path
) -> None:
    # given
    keys = {**KEYS, "GRAFANA_CLOUD_ENDPOINT": f"{server.url}/otlp"}
    _, vendor = chosen(root, {**keys, **READS, "GRAFANA_CLOUD_URL": server.url})
    assert vendor is not None
    server.body = {}
    server.by_path[
        "/api/datasources/proxy/uid/grafanacloud-traces/api/traces/" + "0" * 31 + "1"
    ] = (
        401,
        {"message": "Unauthorized"},
    )
    # when
    takes, reads = check_grafana_cloud(replace(make(up=False), vendors=(vendor,)))
    # then
    assert takes.verdict == "ok"
    assert reads.verdict == "warning"
    assert "GRAFANA_CLOUD_READ_TOKEN" in reads.todo


def test_the_emulator_takes_what_the_collector_is_given(
    make: Callable[..., Setup], emulators: Client, root: Path
) -> None:
    # given
    port = str(emulators.ports()[NAME])
    _, vendor = chosen(root, {"WITH": NAME, "EMULATOR_GRAFANA_CLOUD_PORT": port})
    assert vendor is not None
    # when
    finding = only(check_grafana_cloud(replace(make(), vendors=(vendor,))))
    # then
    assert finding.verdict == "ok"
