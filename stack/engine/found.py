"""The engine that answers the docker client here."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass

from stack.program import ProgramError, run

DEFAULT_HOST = "unix:///var/run/docker.sock"
HOW_TO = "install Docker (https://docs.docker.com/engine/install/), or use RUNTIME=native"
ANSWER_SECONDS = 10


@dataclass(frozen=True)
class Engine:
    """`host` as in DOCKER_HOST. `compose` and `buildx`: versions of the plugins, None without.

    `rootless`: root inside of a container is the engine's unprivileged user outside.
    """

    host: str
    version: str
    compose: str | None
    buildx: str | None
    rootless: bool = False

    @property
    def local(self) -> bool:
        """Whether the engine sees this machine's folders and its ports are this machine's."""
        return self.host.startswith(("unix://", "npipe://"))


def find_engine() -> Engine | None:
    """The engine that answers the docker client here, by DOCKER_HOST, context or default socket.

    None when there is no client or no answer within 10 s.
    """
    if shutil.which("docker") is None:
        return None
    try:
        info = json.loads(run(["docker", "info", "--format", "json"], seconds=ANSWER_SECONDS))
    except (ProgramError, ValueError):
        return None
    if not info.get("ServerVersion"):
        return None
    client = info.get("ClientInfo") or {}
    plugins = {plugin["Name"]: plugin.get("Version", "") for plugin in client.get("Plugins") or []}
    return Engine(
        host=_host(client.get("Context", "default")),
        version=info["ServerVersion"],
        compose=plugins.get("compose"),
        buildx=plugins.get("buildx"),
        rootless=any("rootless" in option for option in info.get("SecurityOptions") or []),
    )


def _host(context: str) -> str:
    if os.environ.get("DOCKER_HOST"):
        return os.environ["DOCKER_HOST"]
    if context == "default":
        return DEFAULT_HOST
    template = "{{.Endpoints.docker.Host}}"
    try:
        return run(["docker", "context", "inspect", context, "--format", template],
                   seconds=ANSWER_SECONDS).strip()  # fmt: skip
    except ProgramError:
        return DEFAULT_HOST
