"""Compose and buildx for a docker client that has none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from stack import debian
from stack.console import step
from stack.engine.found import HOW_TO, Engine, find_engine
from stack.errors import StackError
from stack.program import ProgramError

PLUGIN_SUITE = "trixie"
"""Debian's first release with Compose v2 and buildx as packages; its static binaries run on any."""


def add_plugins(engine: Engine) -> Engine:
    """Compose and buildx from Debian's packages, for this user's docker client."""
    missing = {"compose": engine.compose, "buildx": engine.buildx}
    names = [f"docker-{name}" for name, version in missing.items() if version is None]
    if not debian.is_debian():
        raise StackError(
            f"the docker client has no {' and no '.join(names)} plugin",
            "install it (https://docs.docker.com/compose/install/linux/), or use RUNTIME=native",
        )
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
    found = find_engine()
    if found is None or found.compose is None or found.buildx is None:
        raise StackError(f"the docker client does not take the plugins in {plugins}", HOW_TO)
    return found
