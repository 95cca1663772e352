"""A vendor that somebody pastes into the collector's config, and takes out again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from stack import reload as reloading
from stack.announce import announce
from stack.applied_config import apply_config, wanted_config
from stack.collector_config.files import REDACTION_FILE, ConfigTexts
from stack.collector_config.text import CONFIG_FILE
from stack.commands import validate
from stack.config_check import lint
from stack.env_file import ENV_FILE
from stack.errors import StackError
from stack.fragments import VENDORS
from stack.runtimes import native
from stack.runtimes.chosen import RUNTIMES
from stack.services import Plan, make_plan
from stack.settings import ROOT, load_settings

SNIPPET = """  otlp_http/acme:
    endpoint: {endpoint}
    headers: {{authorization: "Bearer ${{ACME_TOKEN}}"}}
    sending_queue: {{storage: file_storage}}
    retry_on_failure: {{max_elapsed_time: 0}}

"""
"""As a vendor's documentation has it, without env: before the name."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in (VENDORS, Path("services/backend"), Path("services/profiles")):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copytree(ROOT / "compose", tmp_path / "compose")
    for file in ("backend/otel.env", "profiles/otel.env"):
        shutil.copyfile(ROOT / "services" / file, tmp_path / "services" / file)
    for part in (CONFIG_FILE, REDACTION_FILE):
        shutil.copyfile(ROOT / part, tmp_path / part)
    return tmp_path


@pytest.fixture
def paste(root: Path) -> Callable[[str], None]:
    """Define the vendor, in Honeycomb's place, as the config's first lines say."""

    def change(endpoint: str) -> None:
        text = (ROOT / CONFIG_FILE).read_text()
        at = text.index("  awsxray:\n")
        text = text[:at] + SNIPPET.format(endpoint=endpoint) + text[at:]
        definitions, service = text.split("\nservice:", 1)
        swapped = service.replace("otlp_http/honeycomb", "otlp_http/acme")
        assert swapped != service
        (root / CONFIG_FILE).write_text(f"{definitions}\nservice:{swapped}")

    return change


def _plan(root: Path) -> Plan:
    return make_plan(load_settings(root, {"PAGE": "off"}), root, "native")


def test_a_vendors_own_form_of_a_variable_is_taken(
    root: Path, paste: Callable[[str], None]
) -> None:
    # given
    paste("https://otlp.acme.example")
    # then its key is asked for
    with pytest.raises(StackError, match=r"^ACME_TOKEN is not set; .* needs it; put it in \.env"):
        wanted_config(_plan(root))
    # when it is there
    (root / ENV_FILE).write_text("ACME_TOKEN=a-key-of-acme\n")
    # then
    plan = _plan(root)
    assert wanted_config(plan)
    assert plan.process("collector").environment["ACME_TOKEN"] == "a-key-of-acme"
    assert plan.settings.ignored == ()


def test_its_key_blocks_nothing_once_it_is_taken_out(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # given: no acme in the config
    (root / ENV_FILE).write_text("\nACME_TOKEN=a-key-of-acme\n")
    # when
    plan = _plan(root)
    # then
    assert plan.settings.ignored == (
        "unknown name ACME_TOKEN in .env line 2 is ignored: nothing asks for it",
    )
    assert "ACME_TOKEN" not in plan.process("collector").environment
    # when
    announce(plan, running=False)
    # then
    said = capsys.readouterr().err
    assert f"warning: {plan.settings.ignored[0]}" in said
    assert "a-key-of-acme" not in said


def test_reload_refuses_what_validate_refuses(
    root: Path,
    paste: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # given: an edit that the collector's own validation lets pass
    (root / ENV_FILE).write_text("ACME_TOKEN=a-key-of-acme\n")
    plan = _plan(root)
    apply_config(plan, wanted_config(plan))
    paste("https://acme.example:0")
    monkeypatch.chdir(root)
    switched: list[ConfigTexts] = []
    runtime = SimpleNamespace(
        checked_config=native.checked_config,
        switch_config=lambda _plan, text: switched.append(text),
    )
    monkeypatch.setitem(RUNTIMES, "native", runtime)
    monkeypatch.setattr(native, "validate", lambda *_: None)
    monkeypatch.setattr(reloading, "smoke", lambda *_: None)
    # when
    with pytest.raises(StackError) as by_reload:
        reloading.reload(_plan(root))
    # then
    assert "exporter otlp_http/acme: endpoint 'https://acme.example:0' is no address" in str(
        by_reload.value
    )
    assert switched == []
    # and it is the same sentence
    monkeypatch.setattr(validate, "ROOT", root)
    monkeypatch.setattr(validate, "ensure_collector_binary", lambda *_: None)
    with pytest.raises(StackError) as by_validate:
        validate.run()
    assert str(by_validate.value) == str(by_reload.value)
    # and up, which is to bring up what there is, says it
    lint(_plan(root), refuse=False)
    assert f"warning: {by_reload.value}\n" in capsys.readouterr().err
