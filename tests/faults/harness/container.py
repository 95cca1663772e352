"""The collector of a bench as a container: the product's image, on the host's network."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from stack.collector_config.files import config_arguments
from stack.engine import find_engine
from stack.images import ensure_images
from stack.services import Plan, Process

ENGINE_SECONDS = 20


class Container:
    """Where the folders of `plan` are seen under their own paths, and hold all that outlives it."""

    def __init__(self, plan: Plan, resolv: Path | None) -> None:
        engine = find_engine()
        client = shutil.which("docker")
        assert engine is not None
        assert client is not None
        assert engine.local, "its folders and ports have to be this machine's"
        self._client = (client, f"--host={engine.host}")
        self._plan = plan
        self._resolv = resolv
        self._image = ensure_images(plan, ["collector"])["collector"]
        self._name = ""

    def wrapped(self, collector: Process) -> Process:
        """`collector` as a docker client in the foreground, which passes SIGTERM on."""
        self._name = f"otel-stack-faults-{secrets.token_hex(4)}"
        # Each start is a new container, as after `docker compose up`: nothing inside outlives it.
        return replace(
            collector,
            argv=(
                *(*self._client, "run", "--rm", f"--name={self._name}", "--network=host"),
                f"--user={os.getuid()}:{os.getgid()}",
                *("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true"),
                f"--volume={self._plan.run_dir}:{self._plan.run_dir}",
                *([f"--volume={self._resolv}:/etc/resolv.conf:ro"] if self._resolv else []),
                *(f"--env={name}" for name in collector.environment),
                self._image,
                *config_arguments(self._plan.config_applied),
            ),
        )

    def kill(self) -> None:
        """End it as a crash does."""
        self._docker("kill", self._name)

    def close(self) -> None:
        """Remove it where it still runs."""
        running = self._docker("ps", "--quiet", f"--filter=name={self._name}")
        if self._name and running:
            self.kill()

    def _docker(self, *words: str) -> str:
        return subprocess.run(
            [*self._client, *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=ENGINE_SECONDS,
        ).stdout
