"""The Go tests of what our own build adds to upstream's components."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from stack.collector_build import BUILD_ENVIRONMENT, SOURCES
from stack.settings import ROOT

pytestmark = pytest.mark.only_native

OWN_MODULES = re.findall(
    r"^replace (otel-stack/\w+) => \./", (ROOT / SOURCES / "go.mod").read_text(), re.MULTILINE
)


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
