"""Compose and buildx for a docker client that has none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from stack.console import step
from stack.engine import Engine
from stack.errors import StackError
from stack.program import ProgramError
from tools.test_machine import debian

PLUGIN_SUITE = "trixie"
"""Debian's first release with Compose v2 and buildx as packages; its static binaries run on any."""


def add_plugins(engine: Engine) -> None:
    """Compose and buildx from Debian's packages, for this user's docker client, on Debian."""
    missing = {"compose": engine.compose, "buildx": engine.buildx}
    names = [f"docker-{name}" for name, version in missing.items() if version is None]
    if not debian.is_debian():
        return
    config = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    plugins = config / "cli-plugins"
    with step(f"fetching {' and '.join(names)} for the docker client"):
        plugins.mkdir(parents=True, exist_ok=True)
        scratch = plugins / f".otel-stack-{os.getpid()}"
        try:
            debian.fetch(names, PLUGIN_SUITE, scratch)
            for name in names:
                # Another command may do the same at this moment: each file appears whole.
                (scratch / "usr/libexec/docker/cli-plugins" / name).replace(plugins / name)
        except (ProgramError, OSError) as failed:
            raise StackError(
                f"{' and '.join(names)} could not be fetched ({failed})",
                "install them by hand, then try again",
            ) from None
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
