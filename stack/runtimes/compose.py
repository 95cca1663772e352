"""What Docker Compose is told: files, variables, and the folders that containers see."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from stack import fragments
from stack.aws_profile import with_keys
from stack.collector_config.text import unescaped
from stack.compose_file import COMPOSE_FILE
from stack.engine import Engine
from stack.errors import StackError
from stack.private_file import write_private
from stack.program import run
from stack.services import Plan

UNPRIVILEGED = 10001
"""User and group of the containers where the caller is root; else they are the caller's own."""


def compose(
    plan: Plan,
    *words: str,
    seconds: float,
    variables: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> str:
    """Run Compose on this project, and return what it printed.

    With `variables`, over those of the plan, it reads the compose files; else it has to do with
    what the engine knows of the project. Raises ProgramError.
    """
    command = ["docker", "compose", "--project-name", plan.project]
    environment = None
    if variables is not None:
        # `.env` has one reader, the settings.
        command += ["--env-file", os.devnull]
        command += [f"--file={plan.root / file}" for file in compose_files(plan)]
        given = {name: value for name, value in plan.environment.items() if value is not None}
        environment = {**given, **variables}
    return run([*command, *words], seconds=seconds, environment=environment, cwd=Path("/"), log=log)


def compose_files(plan: Plan) -> list[Path]:
    """The compose files of what the plan runs."""
    changes = [
        *plan.without,
        *(["collector-image"] if plan.settings.collector_image else []),
        *(f"with-{name}" for name in plan.settings.fragments),
    ]
    files = (COMPOSE_FILE.with_name(f"{name}.yaml") for name in changes)
    return [COMPOSE_FILE, *(file for file in files if (plan.root / file).is_file())]


def copy_secrets(plan: Plan, user: str) -> None:
    """What each side shows, where only the containers' user reads it; no more than it needs."""
    sides = {
        "OTLP_SERVER_SECRETS": plan.access.server_files,
        "OTLP_CLIENT_SECRETS": plan.access.client_files,
    }
    for name, files in sides.items():
        folder = secret_folders(plan)[name]
        # The folder stays the same one: it is what a running container has mounted.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in folder.iterdir():
            if old.name not in files:
                old.unlink()
        for file in files.values():
            fresh = folder / f"{file.name}.new"
            fresh.touch(mode=0o600)
            fresh.write_bytes(file.read_bytes())
            fresh.replace(folder / file.name)
        give(folder, user)


def secret_folders(plan: Plan) -> dict[str, Path]:
    """The folders that are mounted, by the variable of the compose file."""
    folder = plan.run_dir / "secrets"
    return {"OTLP_SERVER_SECRETS": folder / "server", "OTLP_CLIENT_SECRETS": folder / "client"}


def compose_variables(plan: Plan, engine: Engine) -> dict[str, str]:
    """The variables of the compose file that the plan has not, or has otherwise. Writes the files
    in ENV_DIR.
    """
    content = b"".join(file.read_bytes() for file in plan.config_applied)
    return {
        "CONTAINER_USER": user_of(engine),
        "COLLECTOR_CONFIG_SHA256": hashlib.sha256(content).hexdigest(),
        "ENV_DIR": str(write_environment(plan)),
        **{name: str(folder) for name, folder in secret_folders(plan).items()},
        **_of_fragments(plan),
    }


def _of_fragments(plan: Plan) -> dict[str, str]:
    """What a fragment's own compose file names: its ports, its files by their whole path."""
    environment = plan.process("collector").environment
    chosen = [fragments.load(name, plan.root) for name in plan.settings.fragments]
    names = [name for fragment in chosen for name in fragments.variables(fragment)]
    given = {name: environment[name] for name in names if name in environment}
    return {
        **{name: value for name, value in given.items() if name.endswith("_PORT")},
        **{
            name: str(plan.root / unescaped(file))
            for name, file in given.items()
            if name.endswith("_FILE")
        },
    }


def write_environment(plan: Plan) -> Path:
    """A folder with what is added to each service's variables, as Compose reads them.

    Raises StackError for a value that such a file cannot hold.
    """
    folder = environment_folder(plan)
    folder.mkdir(parents=True, exist_ok=True)
    for process in plan.processes:
        lines = [
            f"{name}={_quoted(name, value)}\n" for name, value in with_keys(process.added).items()
        ]
        # It holds the keys that the service gets.
        write_private(folder / f"{process.name}.env", "".join(lines))
    return folder


def environment_folder(plan: Plan) -> Path:
    return plan.run_dir / "compose"


def _quoted(name: str, value: str) -> str:
    """As Compose takes a value for what it is: between single quotes neither a single quote nor a
    backslash at the end can be written.
    """
    if "\n" in value or "\r" in value:
        raise StackError(f"{name} holds a line break", f"give {name} without it")
    return '"' + re.sub(r'[\\"$]', r"\\\g<0>", value) + '"'


def user_of(engine: Engine) -> str:
    if engine.rootless:
        # There root is the engine's own unprivileged user, the only one that may write here.
        return "0:0"
    if os.geteuid() == 0:
        return f"{UNPRIVILEGED}:{UNPRIVILEGED}"
    return f"{os.geteuid()}:{os.getegid()}"


def give(folder: Path, user: str) -> None:
    """Make `folder` and what it holds the property of the containers' user, where root may."""
    if os.geteuid() != 0:
        return
    uid, _, gid = user.partition(":")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, int(uid), int(gid), follow_symlinks=False)
