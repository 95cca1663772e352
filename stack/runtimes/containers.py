"""What the engine says of the containers of a project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stack.compose_file import COMPOSE_FILE
from stack.program import ProgramError, run
from stack.runtimes.health import ENDED, wait_answers
from stack.runtimes.service import Service
from stack.services import Plan, Process

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
FOLDER_LABEL = "com.docker.compose.project.working_dir"
"""Compose writes there the folder of the first compose file."""

ASK_SECONDS = 15
OUTPUT_LINES = 5000


def wait_healthy(plan: Plan, process: Process) -> None:
    """Wait until the service answers its health check. Raises StackError with its last words."""
    first = _container_of(plan, process.name)
    restarts = first["RestartCount"] if first else 0

    def state() -> str:
        container = _container_of(plan, process.name)
        if container is None:
            return f"{ENDED}, its container is gone"
        status = container["State"]
        if status["Status"] in {"exited", "dead", "restarting"}:
            return f"{ENDED} with exit code {status['ExitCode']}"
        if container["RestartCount"] > restarts:
            # It runs again by now, and the code of its end is gone.
            return ENDED
        return str(status["Status"])

    wait_answers(plan, process, state, lambda: keep_log(plan, process.name))


def keep_log(plan: Plan, name: str) -> tuple[Path, list[str]]:
    """Write what a container printed to the log folder; it goes with the container else. Returns
    the file and its lines.
    """
    log = plan.folders["LOG_DIR"] / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    container = _container_of(plan, name)
    if container is not None:
        command = ["docker", "logs", f"--tail={OUTPUT_LINES}", container["Id"]]
        run(command, seconds=ASK_SECONDS, log=log)
    return log, log.read_text(errors="replace").strip().splitlines() if log.exists() else []


def listing(plan: Plan, *options: str) -> list[str]:
    """The command that lists the containers of the plan's folder, with more `options`."""
    return [
        "docker",
        "ps",
        "--no-trunc",
        f"--filter=label={PROJECT_LABEL}={plan.project}",
        f"--filter=label={FOLDER_LABEL}={_compose_folder(plan)}",
        *options,
    ]


def _compose_folder(plan: Plan) -> Path:
    return (plan.root / COMPOSE_FILE).parent


def other_folder(plan: Plan) -> Path | None:
    """The folder of another clone whose containers have the same project's name, as PROJECT can
    give them; None where there is none.
    """
    labels = f'{{{{.Label "{FOLDER_LABEL}"}}}}'
    named = f"--filter=label={PROJECT_LABEL}={plan.project}"
    try:
        found = run(["docker", "ps", "--all", f"--format={labels}", named], seconds=ASK_SECONDS)
    except ProgramError:
        return None  # no engine, no containers
    others = {Path(folder) for folder in found.split("\n") if folder} - {_compose_folder(plan)}
    return min(others).parent if others else None


def containers_of(plan: Plan, *options: str) -> list[dict[str, Any]]:
    """What `docker inspect` tells of each container of the project, stopped ones too."""
    try:
        ids = run(listing(plan, "--all", "--quiet", *options), seconds=ASK_SECONDS).split()
        if not ids:
            return []
        return list(json.loads(run(["docker", "inspect", *ids], seconds=ASK_SECONDS)))
    except ProgramError:
        # Gone between the two questions, or no engine.
        return []


def _container_of(plan: Plan, name: str) -> dict[str, Any] | None:
    found = containers_of(plan, f"--filter=label={SERVICE_LABEL}={name}")
    return found[0] if found else None


def service_of(container: dict[str, Any]) -> str:
    """The service's name, by Compose's label."""
    return str(container["Config"]["Labels"].get(SERVICE_LABEL, ""))


def describe(name: str, container: dict[str, Any] | None) -> Service:
    if container is None:
        return Service(name, running=False, state="missing", restarts=0)
    state = container["State"]
    health = (state.get("Health") or {}).get("Status")
    running = state["Status"] == "running" and health != "unhealthy"
    restarts = container["RestartCount"]
    detail = ""
    if state["Status"] != "running":
        detail = "out of memory" if state["OOMKilled"] else f"exit code {state['ExitCode']}"
    elif restarts:
        detail = f"runs again since {state['StartedAt'][:19]}Z"
    return Service(name, running, health or state["Status"], restarts, detail)
