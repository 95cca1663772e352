"""A key that is wrong, in a wrong place, or repeated by somebody: the error does not show it."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from stack import cli
from stack.collector_config.text import CONFIG_FILE, env_defaults
from stack.commands import doctor, heal
from stack.errors import StackError
from stack.finding import Finding
from stack.key_shapes import SECRET_NAME
from stack.private_file import write_private
from stack.settings import ROOT, load_settings, own_names
from stack.vendors import key_shapes
from stack.vendors.aws import Settings as AwsSettings
from stack.vendors.honeycomb import Settings as HoneycombSettings
from tests.security.vendor_keys import INSTANCE, fresh_keys, keys_in, word

PLACES = sorted(
    name
    for name in own_names() | {*env_defaults((ROOT / CONFIG_FILE).read_text())}
    if not SECRET_NAME.search(name)
    # A name that may be as long as a key.
    and name != "AWS_PROFILE"
)

SHAPES = [fresh_keys()[name] for name in ("HONEYCOMB_API_KEY", "AWS_ACCESS_KEY_ID")] + [word(40)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with the config and the fragments that are shipped."""
    shutil.copytree(ROOT / "collector/vendors", tmp_path / "collector/vendors")
    shutil.copy(ROOT / CONFIG_FILE, tmp_path / CONFIG_FILE)
    return tmp_path


def refused(root: Path, text: str) -> str:
    (root / ".env").write_text(text)
    with pytest.raises(StackError) as told:
        load_settings(root, {})
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize("place", PLACES)
def test_a_key_in_the_place_of_another_setting(root: Path, place: str) -> None:
    for key in SHAPES:
        # when
        error = refused(root, f"{place}={key}\n")
        # then
        assert f"{place} cannot be a value of {len(key)} characters" in error
        assert key not in error


@pytest.mark.parametrize("line", ["{key}", "{key}=", "{key}=x", "export {key}", "{key}=\n{key}="])
def test_a_key_where_a_line_is_expected(root: Path, line: str) -> None:
    for key in SHAPES:
        assert key not in refused(root, line.format(key=key) + "\n")


@pytest.mark.parametrize("name", [name for name in fresh_keys() if name in key_shapes()])
def test_a_malformed_key(root: Path, name: str) -> None:
    # given
    key = f"{fresh_keys()[name]}-!"
    # when
    error = refused(root, f"AWS_TELEMETRY=live\n{name}={key}\n")
    # then
    assert name in error
    assert key[:-2] not in error


def test_a_file_that_is_no_text(root: Path) -> None:
    # given
    key = word(40)
    (root / ".env").write_bytes(f"AXIOM_API_TOKEN={key}\n".encode() + b"\xff\n")
    # when
    with pytest.raises(StackError, match=r"^\.env is not UTF-8 text") as told:
        load_settings(root, {})
    # then
    assert key not in str(told.value)


def test_a_file_that_is_a_folder(root: Path) -> None:
    # given
    (root / ".env").mkdir()
    # then
    with pytest.raises(StackError, match=r"^\.env cannot be read \(Is a directory\)"):
        load_settings(root, {})


def test_each_key_may_be_in_a_file_of_its_own(root: Path) -> None:
    # given
    keys = fresh_keys()
    lines = [
        "AWS_TELEMETRY=live\n",
        "GRAFANA_CLOUD_ENDPOINT=https://otlp-gateway-prod-eu-west-2.grafana.net/otlp\n",
        f"GRAFANA_CLOUD_INSTANCE_ID={INSTANCE}\n",
    ]
    for name, key in keys.items():
        (root / name.lower()).write_text(f"{key}\n")
        lines.append(f"{name}_FILE={name.lower()}\n")
    (root / ".env").write_text("".join(lines))
    # when
    settings = load_settings(root, {})
    # then
    honeycomb = settings.of(HoneycombSettings)
    assert honeycomb.honeycomb_api_key == SecretStr(keys["HONEYCOMB_API_KEY"])
    assert settings.of(AwsSettings).aws_access_key_id == keys["AWS_ACCESS_KEY_ID"]
    assert {*settings.key_files} == {root / name.lower() for name in keys}
    assert keys_in(repr(settings), {"HONEYCOMB_API_KEY": keys["HONEYCOMB_API_KEY"]}) == []


def test_a_fragments_key_in_a_file_reaches_the_fragment(root: Path) -> None:
    # given
    key = word(40)
    (root / "axiom").write_text(key)
    (root / ".env").write_text("WITH=axiom\nAXIOM_API_TOKEN_FILE=axiom\n")
    # then
    assert load_settings(root, {}).config_values == {"AXIOM_API_TOKEN": key}


def test_the_value_of_a_key_file_is_checked_as_the_setting_is(root: Path) -> None:
    # given
    key = word(41)
    (root / "key").write_text(key)
    # when
    error = refused(root, "HONEYCOMB_API_KEY_FILE=key\n")
    # then
    assert error.startswith("HONEYCOMB_API_KEY does not look like one (the file that ")
    assert key not in error


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"\xff\xfe"])
def test_a_key_file_without_a_key(root: Path, content: bytes) -> None:
    # given
    (root / "key").write_bytes(content)
    # then
    assert "HONEYCOMB_API_KEY_FILE names (.env line 1) does not hold one word" in refused(
        root, "HONEYCOMB_API_KEY_FILE=key\n"
    )


def test_a_key_in_the_place_of_its_file(root: Path) -> None:
    # given
    key = fresh_keys()["HONEYCOMB_API_KEY"]
    # when
    error = refused(root, f"HONEYCOMB_API_KEY_FILE={key}\n")
    # then
    assert "HONEYCOMB_API_KEY_FILE names cannot be read (.env line 1): No such file" in error
    assert key not in error


def test_a_key_and_a_file_for_it(root: Path) -> None:
    # given
    key = fresh_keys()["HONEYCOMB_API_KEY"]
    (root / "key").write_text(key)
    # then
    assert "are both set; keep one of them" in refused(
        root, f"HONEYCOMB_API_KEY={key}\nHONEYCOMB_API_KEY_FILE=key\n"
    )


def test_an_error_that_repeats_a_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given a vendor's answer in the error of any command
    key = word(40)

    def answer() -> None:
        raise StackError(f"the vendor says: {key} is no key of ours")

    monkeypatch.setenv("AXIOM_API_TOKEN", key)
    monkeypatch.setattr(sys, "argv", ["stack", "heal"])
    monkeypatch.setattr(heal, "run", answer)
    # This process has to go on as it is.
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    # when
    with pytest.raises(SystemExit):
        cli.main()
    # then
    said = capsys.readouterr().err
    assert "the vendor says: **** is no key of ours" in said


def test_a_file_for_keys_is_private_before_they_are_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given one that anybody may read, and that somebody reads while it is written
    old = "old and longer than what comes"
    file = tmp_path / "keys"
    file.write_text(old)
    file.chmod(0o644)
    read: list[str] = []
    chmod = os.fchmod

    def read_and_chmod(descriptor: int, mode: int) -> None:
        read.append(file.read_text())
        chmod(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", read_and_chmod)
    # when
    write_private(file, "new")
    # then
    assert read == [old]
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # and a new one whatever the caller's mask is
    mask = os.umask(0)
    try:
        write_private(tmp_path / "fresh", "new")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o600


def test_a_finding_that_repeats_a_key(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a check of the doctor's to which a vendor repeated the key
    key = word(40)
    (root / ".env").write_text(f"WITH=axiom\nAXIOM_API_TOKEN={key}\n")
    said = Finding("axiom", "problem", f"{key} is refused", f"not {key}")
    monkeypatch.setattr(doctor, "_examine", lambda *_: [said])
    # when
    [finding] = doctor.look(root)
    # then
    assert (finding.what, finding.todo) == ("**** is refused", "not ****")
