"""Compose as a test may ask it; it needs no engine to read files."""

from __future__ import annotations

import subprocess

import pytest


def need_compose() -> None:
    """Skip the test where there is no Docker Compose; `make test` installs it where it can."""
    try:
        subprocess.run(
            ["docker", "compose", "version"], check=True, capture_output=True, timeout=60
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no Docker Compose here")
