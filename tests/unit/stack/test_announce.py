"""The first line of a command names who gets something."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stack.announce import announce
from stack.applied_config import apply_config, wanted_config
from stack.collector_config.files import REDACTION_FILE
from stack.collector_config.text import CONFIG_FILE
from stack.fragments import VENDORS
from stack.services import Plan, make_plan
from stack.settings import ROOT, load_settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / VENDORS, tmp_path / VENDORS)
    for folder in (Path("services/backend"), Path("services/profiles")):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copytree(ROOT / "compose", tmp_path / "compose")
    for file in ("backend/otel.env", "profiles/otel.env"):
        shutil.copyfile(ROOT / "services" / file, tmp_path / "services" / file)
    for part in (CONFIG_FILE, REDACTION_FILE):
        shutil.copyfile(ROOT / part, tmp_path / part)
    return tmp_path


def _plan(root: Path, **environ: str) -> Plan:
    return make_plan(load_settings(root, {"PAGE": "off", **environ}), root, "native")


def _without_honeycomb(root: Path) -> None:
    """Taken out of every pipeline, and another one put in its place by hand."""
    config = root / CONFIG_FILE
    text = config.read_text()
    at = text.index("  awsxray:\n")
    pasted = "  otlp_http/acme: {endpoint: 'https://otlp.acme.example'}\n\n"
    definitions, service = (text[:at] + pasted + text[at:]).split("\nservice:", 1)
    swapped = service.replace("otlp_http/honeycomb", "otlp_http/acme")
    assert swapped != service
    config.write_text(f"{definitions}\nservice:{swapped}")


def test_as_shipped_all_are_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    announce(_plan(root), running=False)

    assert capsys.readouterr().err == (
        "native runtime · played by emulators: xray, cloudwatch, honeycomb, rollbar\n"
    )


def test_who_is_in_no_pipeline_is_left_out_and_who_was_pasted_is_named(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # given
    _without_honeycomb(root)
    # when
    announce(_plan(root, HONEYCOMB_API_KEY="hcaik_" + "0" * 58), running=False)
    # then
    assert capsys.readouterr().err == (
        "native runtime · played by emulators: xray, cloudwatch, rollbar · with: acme\n"
    )


def test_what_is_named_is_what_runs_and_not_an_edit(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # given
    plan = _plan(root)
    apply_config(plan, wanted_config(plan))
    _without_honeycomb(root)
    # when
    announce(plan)
    # then
    assert "xray, cloudwatch, honeycomb" in capsys.readouterr().err
    # when it takes effect
    apply_config(plan, wanted_config(plan))
    announce(plan)
    # then
    assert "honeycomb" not in capsys.readouterr().err


def test_a_part_that_was_asked_for_is_named_once(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = _plan(root, WITH="jaeger xray-daemon", JAEGER_ENDPOINT="http://127.0.0.1:1")
    apply_config(plan, wanted_config(plan))

    announce(plan)

    assert capsys.readouterr().err.endswith(" · with: jaeger, xray-daemon\n")


def test_a_config_that_cannot_be_followed_keeps_nobody_from_being_named(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = _plan(root)
    (root / CONFIG_FILE).write_text("service: {pipelines: {traces: }}\n")

    announce(plan, running=False)

    assert "xray, cloudwatch, honeycomb, rollbar" in capsys.readouterr().err
