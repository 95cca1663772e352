"""Checks run side by side, each with a deadline; a crash is told; a key is never shown."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from emulators.client import Client
from stack import asking
from stack.asking import ANSWER_SECONDS
from stack.commands import doctor
from stack.doctor.checks import CHECKS
from stack.doctor.examination import CHECK_SECONDS, examine
from stack.doctor.setup import Setup, look_around
from stack.errors import StackError
from stack.finding import About, Finding
from stack.secrecy import HIDDEN, Redactor, secrets_of
from stack.settings import ROOT, Settings
from stack.vendors import vendors
from stack.vendors.aws import checks as aws
from stack.waiting import wait_for
from tests.unit.doctor.playing import Server, with_vendor

ABOUT = About("a check")
HONEYCOMB = "hcaik_" + "c4n4ry" * 9 + "abcd"
ROLLBAR = "c4n4ryr0llbar" * 3
AWS_SECRET = "c4n4ry/" * 5 + "abcde"


def fine(_: Setup) -> Iterator[Finding]:
    yield ABOUT.ok("fine")


def crashes(_: Setup) -> Iterator[Finding]:
    yield ABOUT.ok("so far")
    raise KeyError("team")


def cannot(_: Setup) -> Iterator[Finding]:
    raise StackError("it is not there", "put it there")
    yield


def test_findings_come_in_the_order_of_the_checks(make: Callable[..., Setup]) -> None:
    # when
    findings = examine(make(), {"b": cannot, "a": fine})
    # then
    assert findings == [
        Finding("b", "problem", "it is not there", "put it there"),
        Finding("a check", "ok", "fine"),
    ]


def test_a_check_that_crashes_is_told_with_its_place(make: Callable[..., Setup]) -> None:
    # when
    [first, crash] = examine(make(), {"spoilt": crashes})
    # then
    assert first.what == "so far"
    assert (crash.check, crash.verdict) == ("spoilt", "problem")
    assert "this check itself failed: KeyError at test_examination.py:" in crash.what
    assert crash.what.endswith(": 'team'")


def test_a_check_that_hangs_costs_no_more_than_the_deadline(make: Callable[..., Setup]) -> None:
    # given
    released = threading.Event()

    def hangs(_: Setup) -> Iterator[Finding]:
        yield ABOUT.ok("begun")
        released.wait(120)

    # A busy machine may not get as far as all three within the first of them.
    for seconds in (1, 5, 20):
        started = time.monotonic()
        # when
        findings = examine(make(), {"one": hangs, "two": hangs, "three": fine}, seconds=seconds)
        took = time.monotonic() - started
        if len(findings) == 5:
            break
    released.set()
    # then
    assert took < 60
    assert [finding.verdict for finding in findings] == ["ok", "problem", "ok", "problem", "ok"]
    assert findings[1].what == f"this check was not done after {seconds} s"


def test_everything_that_hangs_is_done_within_the_deadline(
    played: Setup, emulators: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    for module in (asking, aws):
        monkeypatch.setattr(module, "ANSWER_SECONDS", 0.5)
    # AWS's emulator is asked by two checks.
    once = {"honeycomb": 1, "xray": 1, "aws": 2, "rollbar": 1}
    for vendor in once:
        emulators.reset(vendor)
        emulators.break_(vendor, "hang")
    names = ("honeycomb", "aws", "xray", "cloudwatch", "rollbar")
    # when
    findings = examine(played, {name: CHECKS[name] for name in names}, seconds=60)
    # then each check waited for one answer, for which the deadline has room
    assert ANSWER_SECONDS < CHECK_SECONDS - 2
    wait_for(
        "what each vendor was asked",
        lambda: {vendor: len(emulators.requests(vendor)) for vendor in once},
        until=lambda asked: asked == once,
        seconds=60,
    )
    assert [finding.verdict for finding in findings] == ["problem"] * len(findings)
    assert all("gives no answer within 0.5 s" in finding.what for finding in findings), findings
    assert {finding.check for finding in findings} >= {"honeycomb", "aws", "xray", "rollbar"}


def test_no_check_shows_a_key_that_a_vendor_repeats(
    make: Callable[..., Setup], server: Server
) -> None:
    # given: a vendor that answers with everything it was sent
    secret = f"wrong key {HONEYCOMB} or {ROLLBAR} or {AWS_SECRET}"
    server.status, server.body = 401, {"error": secret, "message": secret, "__type": secret}
    setup = make(up=True)
    keys = {
        "HONEYCOMB_API_KEY": HONEYCOMB,
        "ROLLBAR_ACCESS_TOKEN": ROLLBAR,
        "AWS_SECRET_ACCESS_KEY": AWS_SECRET,
    }
    for vendor in ("honeycomb", "xray", "cloudwatch", "rollbar"):
        setup = with_vendor(setup, vendor, live=vendor == "honeycomb", url=server.url, keys=keys)
    hide = Redactor(secrets_of(setup.settings, setup.vendors, {}))
    names = ("honeycomb", "aws", "xray", "rollbar", "delivery", "clock", "config")
    # when
    findings = [hide.finding(one) for one in examine(setup, {n: CHECKS[n] for n in names})]
    # then
    assert any(HIDDEN in finding.what for finding in findings)
    assert "c4n4ry" not in str(findings)


@pytest.mark.parametrize(
    "told",
    [
        f"team header {HONEYCOMB}",
        "key AKIAIOSFODNN7EXAMPLE",
        "Authorization: Bearer abcdefghijkl",
        "https://user:pass-word@vault.example",
    ],
)
def test_what_looks_like_a_key_is_hidden_though_nobody_named_it(told: str) -> None:
    # when
    shown = Redactor(()).text(told)
    # then
    assert HIDDEN in shown
    assert not any(part in shown for part in ("c4n4ry", "IOSFOD", "abcdefgh", "pass-word"))


def test_short_values_and_the_stand_ins_own_keys_hide_no_words(settings: Settings) -> None:
    # given
    secrets = secrets_of(settings, vendors(settings, "127.0.0.1"), {"API_KEY": "the"})
    # then
    told = "the check says local-honeycomb-key"
    assert Redactor(secrets).text(told) == told


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with a config and services, and no `.env` yet."""
    for service in ("backend", "profiles"):
        (tmp_path / "services" / service).mkdir(parents=True)
        (tmp_path / "services" / service / "otel.env").write_text(f"OTEL_SERVICE_NAME={service}\n")
    shutil.copytree(ROOT / "compose", tmp_path / "compose")
    (tmp_path / "collector").mkdir()
    (tmp_path / "collector/otel-config.yaml").write_text(
        "receivers:\n  otlp: {protocols: {http: {}}}\n"
        "exporters:\n  debug: {}\n"
        "service:\n  pipelines:\n    traces: {receivers: [otlp], exporters: [debug]}\n"
    )
    for name in ("HONEYCOMB_API_KEY", "ROLLBAR_ACCESS_TOKEN", "AWS_TELEMETRY", "RUNTIME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_settings_that_cannot_be_read_are_the_only_finding(project: Path) -> None:
    # given
    (project / ".env").write_text("HONEYCOMB_API_KY=x\n")
    # when
    [finding] = doctor.look(project)
    # then
    assert (finding.check, finding.verdict) == ("settings", "problem")
    assert finding.todo == "did you mean HONEYCOMB_API_KEY?"


def test_a_key_under_a_wrong_name_is_not_shown(project: Path) -> None:
    # given
    (project / ".env").write_text(f"HONEYCOMB_REGION={HONEYCOMB}\n")
    # when
    [finding] = doctor.look(project)
    # then
    assert "HONEYCOMB_REGION cannot be" in finding.what
    assert "c4n4ry" not in str(finding)


def test_the_command_prints_json_and_fails_on_a_problem(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given
    findings = [Finding("a", "ok", "fine"), Finding("b", "problem", "no [key]", "get one")]
    monkeypatch.setattr(doctor, "look", lambda: findings)
    # when
    with pytest.raises(typer.Exit) as ended:
        doctor.run(as_json=True)
    # then
    assert ended.value.exit_code == 1
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["well"] is False
    assert told["findings"][1] == {
        "check": "b",
        "verdict": "problem",
        "what": "no [key]",
        "todo": "get one",
    }


def test_warnings_alone_are_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given
    monkeypatch.setattr(doctor, "look", lambda: [Finding("a", "warning", "hm [0]", "look")])
    # when
    doctor.run(as_json=False)
    # then
    shown = capsys.readouterr().out
    assert "hm [0]" in shown
    assert "no problems, 1 warning" in shown


def test_nothing_runs_in_a_fresh_checkout(project: Path, settings: Settings) -> None:
    # when
    setup = look_around(settings.model_copy(update={"run_dir": project / "run"}), project)
    # then
    assert (setup.up, setup.plan.runtime) == (False, "native")


def test_the_key_of_a_fragment_is_hidden_too(settings: Settings) -> None:
    # given
    chosen = settings.model_copy(update={"config_values": {"DATADOG_API_KEY": "c4n4ry-c4n4ry"}})
    # then
    assert Redactor(secrets_of(chosen, (), {})).text("key c4n4ry-c4n4ry") == f"key {HIDDEN}"
