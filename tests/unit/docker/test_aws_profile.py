"""AWS_PROFILE in the Docker runtime: its keys, the keys' end, and what is refused."""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stack import aws_profile
from stack.doctor.chosen import changed_since_start, check_settings
from stack.doctor.setup import Setup
from stack.errors import StackError
from stack.runtimes import compose, containers, docker
from stack.runtimes.containers import SERVICE_LABEL
from stack.services import Plan, make_plan
from stack.settings import ROOT, load_settings
from stack.vendors import vendors

KEY_ID = "AKIA" + "EXAMPLE0" * 2
SECRET = secrets.token_hex(20)
TOKEN = secrets.token_hex(40)
END = "2099-01-01T12:00:00+00:00"


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A laptop's, with keys of its own in the environment, which AWS_PROFILE is to win over."""
    answer = {
        "Version": 1,
        "AccessKeyId": KEY_ID,
        "SecretAccessKey": SECRET,
        "SessionToken": TOKEN,
        "Expiration": END,
    }
    login = tmp_path / "login.py"
    login.write_text(f"print({json.dumps(json.dumps(answer))})\n")
    refuses = tmp_path / "refuses.py"
    refuses.write_text("import sys; sys.exit('the login has expired')\n")
    config, credentials = tmp_path / "config", tmp_path / "credentials"
    config.write_text(
        "[profile work]\nregion = eu-west-1\n"
        f"[profile login]\ncredential_process = {sys.executable} {login}\n"
        f"[profile late]\ncredential_process = {sys.executable} {refuses}\n"
        "[profile empty]\nregion = eu-west-1\n"
    )
    credentials.write_text(
        f"[work]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA" + "0" * 16)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "0" * 40)
    aws_profile._keys_of.cache_clear()
    yield
    aws_profile._keys_of.cache_clear()


def plan_with(tmp_path: Path, profile: str, **more: str) -> Plan:
    given = {"RUN_DIR": str(tmp_path / "run"), "PAGE": "off", "AWS_TELEMETRY": "live"}
    return make_plan(load_settings(ROOT, {**given, "AWS_PROFILE": profile, **more}), ROOT, "docker")


def written(plan: Plan, service: str) -> Mapping[str, str]:
    folder = compose.write_environment(plan)
    lines = (folder / f"{service}.env").read_text().splitlines()
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def test_the_collector_gets_the_profiles_keys_and_nothing_else_does(tmp_path: Path) -> None:
    plan = plan_with(tmp_path, "work")

    collector = written(plan, "collector")

    assert (collector["AWS_ACCESS_KEY_ID"], collector["AWS_SECRET_ACCESS_KEY"]) == (KEY_ID, SECRET)
    # A name that means nothing in there, where the SDK would end at it.
    assert "AWS_PROFILE" not in collector
    assert SECRET not in str(written(plan, "backend-flask"))
    files = [*compose.write_environment(plan).iterdir()]
    assert {file.stat().st_mode & 0o077 for file in files} == {0}


def test_who_sends_logs_past_the_collector_gets_them_too(tmp_path: Path) -> None:
    backend = written(plan_with(tmp_path, "work", LOG_ROUTE="watchtower"), "backend-flask")

    assert backend["AWS_SECRET_ACCESS_KEY"] == SECRET


def test_keys_in_the_settings_win_over_the_profile(tmp_path: Path) -> None:
    own = {"AWS_ACCESS_KEY_ID": "AKIA" + "1" * 16, "AWS_SECRET_ACCESS_KEY": "1" * 40}

    collector = written(plan_with(tmp_path, "nowhere", **own), "collector")

    assert own.items() <= collector.items()


def test_temporary_keys_come_with_their_token_and_their_end_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_with(tmp_path, "login")

    docker._check_profile(plan)

    assert written(plan, "collector")["AWS_SESSION_TOKEN"] == TOKEN
    shown = " ".join("".join(capsys.readouterr()).split())
    assert f"AWS_PROFILE=login has keys until {END}: `make up` again" in shown
    assert TOKEN not in shown


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("nowhere", "there is no AWS profile 'nowhere'"),
        ("late", r"the AWS profile 'late' gives no keys \(.*the login has expired.*\)"),
        ("empty", "the AWS profile 'empty' holds no keys"),
    ],
)
def test_a_profile_without_keys_is_one_line_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str, said: str
) -> None:
    plan = plan_with(tmp_path, profile)
    monkeypatch.setattr(docker, "require_engine", lambda: pytest.fail("an engine was asked for"))

    with pytest.raises(StackError) as refused:
        docker.up(plan)

    assert re.search(said, str(refused.value))
    assert "\n" not in str(refused.value)


def running(monkeypatch: pytest.MonkeyPatch, plan: Plan, environment: Mapping[str, str]) -> Setup:
    """A stack in containers, whose collector has `environment`."""
    told: dict[str, Any] = {
        "ps": "0123",
        "inspect": json.dumps(
            [
                {
                    "Config": {
                        "Labels": {SERVICE_LABEL: "collector"},
                        "Env": [f"{name}={value}" for name, value in environment.items()],
                    }
                }
            ]
        ),
    }
    monkeypatch.setattr(containers, "run", lambda command, **_: told[command[1]])
    only = replace(plan, processes=(plan.process("collector"),))
    return Setup(plan.settings, only, up=True, vendors=vendors(plan.settings, "127.0.0.1"))


def test_doctor_finds_nothing_wrong_with_the_profiles_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_with(tmp_path, "login")
    setup = running(monkeypatch, plan, written(plan, "collector"))

    assert changed_since_start(setup.plan) == []
    assert [one.what for one in check_settings(setup) if one.verdict == "problem"] == []


def test_doctor_says_that_the_keys_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_with(tmp_path, "login")
    end = (datetime.now(UTC) - timedelta(minutes=1)).isoformat(timespec="seconds")
    environment = {**written(plan, "collector"), aws_profile.EXPIRATION: end}

    problems = [
        one
        for one in check_settings(running(monkeypatch, plan, environment))
        if one.verdict == "problem"
    ]

    [told] = problems
    assert told.what == f"the containers' keys of AWS_PROFILE=login ended at {end}"
    assert "`make up`" in told.todo


def test_the_clients_own_environment_is_as_it_was(tmp_path: Path) -> None:
    before = dict(os.environ)

    written(plan_with(tmp_path, "work"), "collector")

    assert dict(os.environ) == before
