"""No key in git, and none in the folders that images are made of."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from stack.compose_file import COMPOSE_FILE
from stack.env_file import ENV_FILE
from stack.settings import ROOT
from tests.security.vendor_keys import UPPER, fresh_keys, word

LIKE_A_KEY = {
    "Honeycomb": re.compile(r"\bhc[a-z]{2}[a-z]?_(?=[a-z]*\d)[a-z0-9]{50,}"),
    "AWS": re.compile(r"\bA[KS]IA[A-Z2-7]{16}\b"),
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{20}"),
    "JSON web token": re.compile(r"\beyJ[\w-]{20,}\.eyJ[\w-]{20,}\.[\w-]{20,}"),
    "GitHub": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
    "assignment": re.compile(
        r"(?i)(?:api_?key|token|secret|password)[\"']?\s*[=:]\s*[\"']?(?=[a-f]*\d)[0-9a-f]{32}\b"
    ),
}

EXAMPLES = re.compile(r"(?i)EXAMPLE|abcdefgh|0123456789|1234567890|(.)\1{7}")
"""What vendors' own documents show as a key, and what counts up or repeats itself."""


def looks_like_keys(text: str) -> list[str]:
    """Which vendors' keys it seems to hold."""
    return [
        vendor
        for vendor, shape in LIKE_A_KEY.items()
        if any(not EXAMPLES.search(found[0]) for found in shape.finditer(text))
    ]


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout


def tracked() -> list[Path]:
    listed = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def test_no_file_in_git_looks_like_it_holds_a_key() -> None:
    found = {
        str(path.relative_to(ROOT)): keys
        for path in tracked()
        if (keys := looks_like_keys(path.read_bytes().decode("latin-1")))
    }
    assert found == {}


@pytest.mark.parametrize("vendor", ["Honeycomb", "AWS", "private key", "GitHub", "assignment"])
def test_a_key_would_be_seen(vendor: str) -> None:
    # given
    keys = fresh_keys()
    text = {
        "Honeycomb": f"key = '{keys['HONEYCOMB_API_KEY']}'",
        "AWS": f"AKIA{word(16, UPPER)}",
        "private key": f"-----BEGIN {''}PRIVATE KEY-----\n{word(64)}",
        "GitHub": f"ghp_{word(36)}",
        "assignment": f"ROLLBAR_ACCESS_TOKEN={word(32, 'abcdef0123456789')}",
    }[vendor]
    # then
    assert vendor in looks_like_keys(text)


@pytest.mark.parametrize("name", [ENV_FILE, ".run/supervisord.conf", ".run/compose/collector.env"])
def test_what_holds_keys_is_ignored_by_git(name: str) -> None:
    assert _git("check-ignore", name).strip() == name
    assert _git("ls-files", name) == ""


def test_no_image_is_made_of_a_folder_that_holds_keys() -> None:
    """`.env` and `.run` are in the project's folder, which is no image's."""
    for dockerfile in (path for path in tracked() if path.name.endswith("Dockerfile")):
        folder = dockerfile.parent
        assert folder != ROOT
        assert not any(path.name.startswith(".env") for path in folder.rglob(".env*"))
        text = dockerfile.read_text()
        named = re.findall(
            r"^(?:ARG|ENV)\s+(\w*(?:KEY|TOKEN|SECRET|PASSWORD)\w*)", text, re.MULTILINE
        )
        assert named == [], dockerfile


def test_of_the_projects_folder_an_image_is_made_of_two_that_hold_no_keys() -> None:
    builds = yaml.safe_load((ROOT / COMPOSE_FILE).read_text())
    contexts = {
        str(service["build"].get("dockerfile")): service["build"]["context"]
        for service in builds["services"].values()
    }
    assert [file for file, context in contexts.items() if context == ".."] == [
        "services/Dockerfile"
    ]
    ignore = ROOT / "services/Dockerfile.dockerignore"
    lines = [line for line in ignore.read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    taken = [line.removeprefix("!") for line in lines if line.startswith("!")]
    assert taken == ["distro", "services"]
    assert not any(path for name in taken for path in (ROOT / name).rglob(".env*"))
