"""What works together belongs together, and the clock is that of the vendors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from stack.doctor.clock import check_clock, judge, measure
from stack.doctor.setup import Setup
from stack.doctor.versions import check_versions, mixed_releases, running_version
from stack.finding import About
from stack.settings import ROOT, Settings
from tests.unit.doctor.playing import Server, only, text, with_vendor


@pytest.mark.parametrize(
    ("pins", "mixed"),
    [
        ({"opentelemetry-api": "1.45.1", "opentelemetry-instrumentation": "0.66b1"}, False),
        ({"opentelemetry-api": "1.44.0", "opentelemetry-instrumentation-flask": "0.65b0"}, False),
        ({"opentelemetry-api": "1.45.1", "opentelemetry-propagator-aws-xray": "1.0.2"}, False),
        ({"opentelemetry-api": "1.45.1", "opentelemetry-sdk": "1.44.0"}, True),
        ({"opentelemetry-api": "1.45.1", "opentelemetry-instrumentation-flask": "0.65b0"}, True),
        ({"opentelemetry-api": "1.45.1", "opentelemetry-distro": "0.66b0"}, True),
        ({}, False),
    ],
)
def test_packages_of_one_release(pins: dict[str, str], mixed: bool) -> None:
    assert bool(mixed_releases(pins)) is mixed


def test_a_mix_names_one_package_of_each_release() -> None:
    # given
    pins = {
        "opentelemetry-api": "1.45.1",
        "opentelemetry-sdk": "1.45.1",
        "opentelemetry-instrumentation-flask": "0.65b0",
    }
    # then
    assert mixed_releases(pins) == [
        "opentelemetry-api 1.45.1",
        "opentelemetry-instrumentation-flask 0.65b0",
    ]


def test_what_is_committed_belongs_together(make: Callable[..., Setup]) -> None:
    # when
    findings = list(check_versions(make(up=False)))
    # then
    assert "problem" not in {finding.verdict for finding in findings}, findings
    assert "OpenTelemetry packages are of one release" in text(findings)


def elsewhere(setup: Setup, root: Path, lock: str) -> Setup:
    for name in ("collector/build/builder.yaml", "collector/build/go.mod"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text((ROOT / name).read_text())
    (root / "services").mkdir()
    (root / "services/requirements.txt").write_text(lock)
    return replace(setup, plan=replace(setup.plan, root=root))


def test_a_mixed_lock_is_a_problem(make: Callable[..., Setup], tmp_path: Path) -> None:
    # given
    lock = "opentelemetry-api==1.45.1 \\\n    --hash=x\nopentelemetry-sdk==1.44.0 \\\n"
    # when
    findings = list(check_versions(elsewhere(make(up=False), tmp_path, lock)))
    # then
    assert "problem: services/requirements.txt mixes OpenTelemetry releases" in text(findings)


def fake_collector(folder: Path, version: str) -> Path:
    binary = folder / "otelcol-fake"
    binary.write_text(f"#!/bin/sh\necho otelcol version {version}\n")
    binary.chmod(0o755)
    return binary


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.159.0", "ok: the collector is 0.159.0, as builder.yaml says"),
        ("0.101.0", "warning: the collector is 0.101.0; this config is tested with 0.159.0"),
    ],
)
def test_a_collector_of_the_users_own(
    make: Callable[..., Setup], tmp_path: Path, version: str, expected: str
) -> None:
    # given
    setup = make(up=False, collector_bin=fake_collector(tmp_path, version))
    # then
    assert expected in text(check_versions(setup))


def test_our_own_build_that_is_old(make: Callable[..., Setup], tmp_path: Path) -> None:
    # given
    setup = elsewhere(make(up=False), tmp_path, "opentelemetry-api==1.45.1\n")
    (tmp_path / ".run/bin").mkdir(parents=True)
    fake_collector(tmp_path, "0.150.0").rename(tmp_path / ".run/bin/otelcol")
    # then
    assert "problem: the collector is 0.150.0, builder.yaml says 0.159.0" in text(
        check_versions(setup)
    )


def test_the_running_collector_says_its_version(
    make: Callable[..., Setup], settings: Settings, server: Server
) -> None:
    # given
    port = server.url.rpartition(":")[2]
    server.body = 'target_info{service_name="otelcol",service_version="0.140.0"} 1\n'
    settings.collector["COLLECTOR_METRICS_PORT"] = port
    # then
    said = text(check_versions(make(up=True)))
    assert "problem: the collector that runs is 0.140.0" in said
    assert running_version("otelcol_process_uptime 1\n") is None


@pytest.mark.parametrize(
    ("seconds", "verdict", "said"),
    [
        (0, "ok", "agrees with"),
        (-4, "ok", "agrees with"),
        (20, "warning", "20 s ahead of honeycomb's"),
        (-20, "warning", "20 s behind honeycomb's"),
        (3600, "problem", "60 minutes ahead of honeycomb's: AWS refuses"),
    ],
)
def test_how_far_a_clock_may_be_off(seconds: int, verdict: str, said: str) -> None:
    # when
    finding = judge(About("clock"), "honeycomb", timedelta(seconds=seconds))
    # then
    assert (finding.verdict, said in finding.what) == (verdict, True), finding


@pytest.mark.parametrize("hours", [0, 1, -1])
def test_the_clock_is_measured_by_the_date_of_an_answer(server: Server, hours: int) -> None:
    # given
    theirs = datetime.now(UTC) - timedelta(hours=hours)
    server.headers = {"Date": format_datetime(theirs, usegmt=True)}
    # when
    skew = measure(server.url)
    # then
    assert skew is not None
    # That header is in whole seconds, and as old as the question took.
    assert abs(skew - timedelta(hours=hours)) < timedelta(seconds=2) + (
        datetime.now(UTC) - theirs - timedelta(hours=hours)
    )


def test_only_live_vendors_are_asked_for_the_time_and_without_a_key(
    make: Callable[..., Setup], server: Server
) -> None:
    # given
    server.headers = {"Date": "Sat, 01 Jan 2000 00:00:00 GMT"}
    setup = make(up=False)
    assert "no live vendor" in only(check_clock(setup)).what
    keys = {"HONEYCOMB_API_KEY": "canary-canary"}
    setup = with_vendor(setup, "honeycomb", live=True, url=server.url, keys=keys)
    # when
    finding = only(check_clock(setup))
    # then
    assert finding.verdict == "problem"
    assert "canary" not in str(server.seen)


def test_a_vendor_without_a_date_is_not_guessed_about(
    make: Callable[..., Setup], server: Server
) -> None:
    # given
    setup = with_vendor(make(up=False), "honeycomb", live=True, url=server.url)
    # then
    assert only(check_clock(setup)).verdict == "warning"
