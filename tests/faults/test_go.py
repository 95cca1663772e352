"""The Go tests of what our own build adds to upstream's components."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from stack.collector_build import BUILD_ENVIRONMENT, SOURCES
from stack.settings import ROOT

pytestmark = pytest.mark.only_native

# How long to fuzz each target, such as 60s; their seeds are always tried.
FUZZ = os.environ.get("FUZZ", "")
OWN_MODULES = dict(
    re.findall(
        r"^replace (\S+) => \./(\w+)$", (ROOT / SOURCES / "go.mod").read_text(), re.MULTILINE
    )
)
"""The folder of each; one has a path inside of upstream's module tree."""


@pytest.mark.skipif(shutil.which("go") is None, reason="no Go on PATH to compile tests with")
@pytest.mark.parametrize("module", OWN_MODULES)
def test_our_own_components(module: str) -> None:
    done = subprocess.run(
        ["go", "test", "-mod=readonly", f"{module}/..."],
        cwd=ROOT / SOURCES,
        env={**os.environ, **BUILD_ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"ok  \t{module}" in done.stdout


def fuzz_targets() -> list[tuple[str, str, str]]:
    """(module, package, target) of each."""
    return [
        (
            module,
            "/".join((module, *file.parent.relative_to(ROOT / SOURCES / folder).parts)),
            target,
        )
        for module, folder in OWN_MODULES.items()
        for file in sorted((ROOT / SOURCES / folder).rglob("*_test.go"))
        for target in re.findall(r"^func (Fuzz\w+)", file.read_text(), re.MULTILINE)
    ]


@pytest.mark.skipif(not FUZZ, reason="FUZZ=60s fuzzes each Go target for so long")
@pytest.mark.parametrize(("module", "package", "target"), fuzz_targets())
def test_our_own_components_on_what_nobody_thought_of(
    module: str, package: str, target: str, tmp_path: Path
) -> None:
    """What fails is kept in the package's `testdata/fuzz`, and belongs into the repository."""
    # Go fuzzes main modules only.
    build = ROOT / SOURCES
    version = re.search(r"^go .+$", (build / "go.mod").read_text(), re.MULTILINE)
    assert version is not None
    used = f"{version.group()}\nuse (\n\t{build}\n\t{build / OWN_MODULES[module]}\n)\n"
    workspace = tmp_path / "go.work"
    workspace.write_text(used)
    # By default Go spends a minute on making each new input shorter, in which it tries no other.
    how = [f"-fuzz=^{target}$", f"-fuzztime={FUZZ}", "-fuzzminimizetime=10x", "-parallel=1"]
    done = subprocess.run(
        ["go", "test", "-run=^$", "-timeout=0", *how, package],
        cwd=build,
        env={**os.environ, **BUILD_ENVIRONMENT, "GOWORK": str(workspace)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
