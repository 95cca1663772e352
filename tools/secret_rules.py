"""The rules for secrets that gitleaks keeps, in a form that Go, Python and JavaScript read.

gitleaks (MIT licence, https://github.com/gitleaks/gitleaks) knows the tokens of 200 vendors, and
each of its rules has samples. `make rules` renews the file from the version that is pinned here; a
test holds it to that, and another masks the samples. The services and the page read what `make
patterns` makes of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack.collector_build import BUILD_ENVIRONMENT, SOURCES
from stack.console import console
from stack.errors import StackError
from stack.settings import ROOT
from tools.entry import run_function

MODULE = "github.com/zricethezav/gitleaks/v8"
VERSION = "v8.28.0"
SUM = "h1:XXeibrt4XbdrYm3FnzXR3uUPs9HbgGduroICjBl6PMw="
"""What Go's checksum database says of that version."""

FILE = Path("collector/build/redaction/gitleaks.json")

LEFT_OUT: Mapping[str, str] = {
    "curl-auth-header": "ours, of headers; its `.*` takes minutes for a long line",
    "curl-auth-user": "ours, of `-u`; the same",
    "generic-api-key": "ours, of names; it would mask what is no secret",
    "hashicorp-tf-password": "ours, of names",
    "jwt": "ours",
    "kubernetes-secret-yaml": "about files; ours, of names",
    "nuget-config-password": "about files; ours, of names beside values",
    "private-key": "ours, which needs no end",
    "sidekiq-sensitive-url": "ours, of URLs",
}
"""By rule, what masks its samples in its place."""

REWRITTEN: Mapping[str, str] = {
    "facebook-access-token": r"(?i)\b(\d{15,16}(?:\||%7c)[0-9a-z\-_]{27,40})\b",
    # Without the scheme, which every URL has.
    "microsoft-teams-webhook": r"\.webhook\.office\.com/webhookb2/([a-zA-Z0-9@/-]{36,})",
    "slack-webhook-url": (
        r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/]{43,56})"
    ),
    # 40 hexadecimal digits alone are a commit.
    "sourcegraph-access-token": (
        r"(?i)\b(sgp_(?:[a-f0-9]{16}_|local_)?[a-f0-9]{40})\b"
        r"""|sourcegraph[\w \t.-]{0,20}[\s'"]{0,3}(?:=|:|,)[\s'"`=]{0,5}([a-f0-9]{40})\b"""
    ),
}
"""Expressions that look for what every text has, or would mask it."""

KEYWORDS: Mapping[str, list[str]] = {
    "facebook-access-token": ["|", "%7c"],
    "lob-api-key": ["lob"],
    "lob-pub-api-key": ["lob"],
    "slack-config-access-token": ["xoxe"],
}
"""What every text with such a secret has in it, where gitleaks' keywords are something else."""

WORDY = frozenset({"grafana-cloud-api-token", "vault-service-token"})
"""Rules that find words too, `s.makeKubeConfig...`: a secret has a digit."""

_LICENCE = (
    f"Made by `make rules` of the rules of gitleaks {VERSION}, Copyright (c) 2019 Zachary "
    "Rice, MIT licence: collector/build/redaction/LICENSE.gitleaks"
)


@dataclass(frozen=True)
class Module:
    """gitleaks' sources, as Go keeps them; read only."""

    folder: Path

    @property
    def rules(self) -> list[dict[str, Any]]:
        found = tomllib.loads((self.folder / "config/gitleaks.toml").read_text())["rules"]
        return [rule for rule in found if "regex" in rule]


def write_rules(root: Path) -> int:
    """Write the file; returns how many rules it has. Raises StackError."""
    rules = made_rules(root, fetch(root))
    (root / FILE).write_text(text_of(rules))
    return len(rules)


def fetch(root: Path) -> Module:
    """The pinned version, from Go's cache or its proxy. Raises StackError."""
    told = json.loads(go(root, ["mod", "download", "-json", f"{MODULE}@{VERSION}"]))
    if told["Sum"] != SUM:
        raise StackError(f"{MODULE} {VERSION} is not what it was: {told['Sum']}, not {SUM}")
    return Module(Path(told["Dir"]))


def made_rules(root: Path, module: Module) -> list[dict[str, Any]]:
    """Each rule as one or more patterns that Go, Python and JavaScript read alike."""
    given = [
        {
            "id": rule["id"],
            "keywords": KEYWORDS.get(rule["id"]) or sorted(rule["keywords"]),
            "pattern": REWRITTEN.get(rule["id"], rule["regex"]),
            "wordy": rule["id"] in WORDY,
        }
        for rule in module.rules
        if rule["id"] not in LEFT_OUT
    ]
    made: list[dict[str, Any]] = json.loads(
        go(root, ["run", "otel-stack/redaction/portable"], text=json.dumps(given))
    )
    return made


def text_of(rules: Sequence[Mapping[str, Any]]) -> str:
    """The file, a rule a line."""
    lines = ",\n".join(json.dumps(rule) for rule in rules)
    return f'{{\n"licence": {json.dumps(_LICENCE)},\n"rules": [\n{lines}\n]\n}}\n'


def go(root: Path, arguments: Sequence[str], text: str = "") -> str:
    """What a `go` of the collector's build prints. Raises StackError."""
    done = subprocess.run(
        ["go", *arguments],
        cwd=root / SOURCES,
        env={**os.environ, **BUILD_ENVIRONMENT},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(f"go {' '.join(arguments)}: {' '.join(done.stderr.split())}")
    return done.stdout


def main() -> None:
    """Write the rules of the pinned gitleaks."""
    count = write_rules(ROOT)
    console.print(f"{count} rules of {MODULE} {VERSION} are in {FILE}")


if __name__ == "__main__":
    run_function(main)
