"""The Go tests of what our own build adds to upstream's exporters."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from stack.collector_build import BUILD_ENVIRONMENT, SOURCES
from stack.settings import ROOT

pytestmark = pytest.mark.only_native


@pytest.mark.skipif(shutil.which("go") is None, reason="no Go on PATH to compile tests with")
def test_the_wrapped_exporters() -> None:
    done = subprocess.run(
        ["go", "test", "-mod=readonly", "otel-stack/durable/..."],
        cwd=ROOT / SOURCES,
        env={**os.environ, **BUILD_ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok  \totel-stack/durable" in done.stdout
