"""The samples of gitleaks' own tests, made by the sources that make them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from stack.collector_build import BUILD_ENVIRONMENT
from stack.settings import ROOT
from tools.secret_rules import fetch

_PARTS = ("go.mod", "go.sum", "cmd/generate", "config", "logging", "regexp")
_REPLACED = {"validate.go": "cmd/generate/config/utils", "regen.go": "cmd/generate/secrets"}
_PIECE = 12


@dataclass(frozen=True)
class Sample:
    """`secrets` are the parts of `text` that the rule finds, in a false positive too."""

    rule: str
    text: str
    secret: bool
    secrets: list[str]

    def is_masked(self, clean: str) -> bool:
        """Whether neither a secret nor its middle is left: of a key's block the two ends are."""
        return not any(_middle(secret) in clean for secret in self.secrets)


def _middle(secret: str) -> str:
    at = max(0, (len(secret) - _PIECE) // 2)
    return secret[at : at + _PIECE]


def gitleaks_samples(folder: Path, seed: int) -> list[Sample]:
    """Build gitleaks' generator in `folder`, and run it: the same `seed` gives the same samples.

    The first time on a machine it takes a minute of CPU, for what gitleaks is made of.
    """
    module = fetch(ROOT).folder
    for part in _PARTS:
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        # Go's cache is read-only; the copy is not to be.
        if (module / part).is_dir():
            shutil.copytree(module / part, folder / part, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(module / part, folder / part)
    for directory in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        directory.chmod(0o755)
    for name, place in _REPLACED.items():
        shutil.copyfile(Path(__file__).parent / "gitleaks" / name, folder / place / name)
    done = subprocess.run(
        # Without the path of the folder in it, what is compiled is kept from run to run.
        ["go", "run", "-trimpath", ".", str(folder / "gitleaks.toml")],
        cwd=folder / "cmd/generate/config",
        env={**os.environ, **BUILD_ENVIRONMENT, "GOFLAGS": "-mod=mod", "SEED": str(seed)},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return [Sample(**json.loads(line)) for line in done.stdout.splitlines()]
