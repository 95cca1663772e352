"""The Docker engine that answers the docker client here. None is ever installed or started."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from stack.errors import StackError
from stack.program import ProgramError, run

DEFAULT_HOST = "unix:///var/run/docker.sock"
HOW_TO = "install Docker (https://docs.docker.com/engine/install/), or use RUNTIME=native"
HOW_TO_PLUGINS = (
    "install it (https://docs.docker.com/compose/install/linux/), or use RUNTIME=native"
)
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

    @property
    def lacking(self) -> str:
        """What its client needs to run the stack and does not have, as part of a sentence."""
        plugins = {"Compose": self.compose, "buildx": self.buildx}
        return " and no ".join(name for name, version in plugins.items() if not version)


def require_engine() -> Engine:
    """The engine that answers, on this machine, with Compose and buildx.

    Raises StackError that says how to get one.
    """
    engine = find_engine()
    if engine is None:
        raise unanswered()
    if not engine.local:
        raise StackError(
            f"the Docker engine at {engine.host} does not see this machine's folders",
            "unset DOCKER_HOST or choose a local context, or use RUNTIME=native",
        )
    if engine.lacking:
        raise StackError(f"the docker client has no {engine.lacking} plugin", HOW_TO_PLUGINS)
    return engine


def unanswered() -> StackError:
    """Why no engine answers, as far as can be seen, and what to do."""
    host = os.environ.get("DOCKER_HOST")
    if host:
        return StackError(
            f"DOCKER_HOST is {host}, where no Docker engine answers",
            "start that engine, or unset DOCKER_HOST",
        )
    context = _context()
    if context != "default":
        return StackError(
            f"the Docker engine of the context {context} does not answer",
            "start it, or choose another with `docker context use`",
        )
    socket = Path(DEFAULT_HOST.removeprefix("unix://"))
    if socket.exists() and not os.access(socket, os.W_OK):
        return StackError(
            f"this user may not use the Docker engine ({socket}: permission denied)",
            "let it into the group docker, or use RUNTIME=native",
        )
    return StackError("no Docker engine answers", HOW_TO)


def _context() -> str:
    try:
        return run(["docker", "context", "show"], seconds=ANSWER_SECONDS).strip()
    except ProgramError:
        return "default"


def find_engine() -> Engine | None:
    """The engine that answers the docker client here, by DOCKER_HOST, context or default socket.

    None when there is no client or no answer within 10 s.
    """
    if shutil.which("docker") is None:
        return None
    try:
        # The client of Debian 12 does not know the word json for it.
        command = ["docker", "info", "--format", "{{json .}}"]
        info = json.loads(run(command, seconds=ANSWER_SECONDS))
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
