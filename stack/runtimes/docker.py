"""The plan's processes as containers, by Docker Compose."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from stack import fragments
from stack.applied_config import apply_config, check_access, wanted_file
from stack.aws_profile import EXPIRATION, with_keys
from stack.collector_config import load, render_for_adot, validate
from stack.console import console, step
from stack.engine import Engine, ensure_engine, find_engine, release
from stack.errors import StackError
from stack.images import ensure_images
from stack.ports import check_free
from stack.private_file import write_private
from stack.program import ProgramError, run
from stack.runtimes.service import Service
from stack.waiting import DeadlineError, wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stack.plan import Plan, Process

COMPOSE_FILE = Path("compose/compose.yaml")
STANDINS_FILE = Path("compose/local.yaml")
PAGE_FILE = Path("compose/page.yaml")
PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"

UP_SECONDS = 120
DOWN_SECONDS = 90
HEALTHY_SECONDS = 60
ASK_SECONDS = 15
OUTPUT_LINES = 5000

IMAGES_OWN = {"PAGE_DIR", "PATH", "PYTHONPATH", "PYTHONUNBUFFERED"}
"""Variables of the native processes that an image sets by itself: where its programs are."""

UNPRIVILEGED = 10001
"""User and group of the containers where the caller is root; else they are the caller's own."""


def up(plan: Plan) -> None:
    """Start the plan's containers and wait until each is healthy. Harmless when they run already.

    Whatever goes wrong, also Ctrl-C, removes what this call started, the engine included if it
    did not run before. Raises StackError.
    """
    check_access(plan)
    _check_profile(plan)
    engine = ensure_engine(_lease(plan))
    try:
        running = is_running(plan)
    except BaseException:
        release(_lease(plan))
        raise
    try:
        _check_local(engine)
        if not running:
            check_free(plan.ports)
        images = prepare(plan, engine)
        apply_config(plan, _checked_config(plan, images["collector"]))
        variables = _variables(plan, engine, images)
        with step("starting " + ", ".join(process.name for process in plan.processes)):
            _compose_up(plan, variables)
            for process in plan.processes:
                _wait_healthy(plan, process)
    except BaseException:
        if not running:
            down(plan)
        raise


def checked_config(plan: Plan) -> str:
    """The config that is wanted now, as the collector's image can run it.

    Raises StackError when that image refuses it.
    """
    return _checked_config(
        plan, ensure_images(plan.root, plan.settings, ["collector"])["collector"]
    )


def switch_config(plan: Plan, text: str) -> None:
    """Have the running collector, and nothing else, go on with `text`. Raises StackError."""
    engine = ensure_engine(_lease(plan))
    images = prepare(plan, engine)
    apply_config(plan, text)
    _compose_up(plan, _variables(plan, engine, images), only="collector")
    _wait_healthy(plan, plan.process("collector"))


def prepare(plan: Plan, engine: Engine) -> dict[str, str]:
    """Make what the containers need; returns the images' references by name. Raises StackError."""
    names = [_image_name(process) for process in plan.processes]
    images = ensure_images(plan.root, plan.settings, names)
    user = _user(engine)
    for folder in plan.folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    for name in ("TELEMETRY_DIR", "QUEUE_DIR", "DATA_DIR"):
        _give(plan.folders[name], user)
    _copy_secrets(plan, user)
    return images


def _copy_secrets(plan: Plan, user: str) -> None:
    """What each side shows, where only the containers' user reads it; no more than it needs."""
    sides = {
        "OTLP_SERVER_SECRETS": plan.access.server_files,
        "OTLP_CLIENT_SECRETS": plan.access.client_files,
    }
    for name, files in sides.items():
        folder = _secrets(plan)[name]
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
        _give(folder, user)


def _secrets(plan: Plan) -> dict[str, Path]:
    """The folders that are mounted, by the variable of the compose file."""
    folder = plan.run_dir / "secrets"
    return {"OTLP_SERVER_SECRETS": folder / "server", "OTLP_CLIENT_SECRETS": folder / "client"}


def _variables(plan: Plan, engine: Engine, images: Mapping[str, str]) -> dict[str, str]:
    """Every variable of the compose file."""
    config = plan.config_applied
    return {
        **plan.environment,
        **{name: str(port) for name, port in plan.ports.items()},
        **{f"{name.upper()}_REFERENCE": reference for name, reference in images.items()},
        "CONTAINER_USER": _user(engine),
        "CONFIG_DIR": str(config.parent),
        "COLLECTOR_CONFIG_SHA256": hashlib.sha256(config.read_bytes()).hexdigest(),
        "ENV_DIR": str(_write_environment(plan)),
        "OTLP_SCHEME": plan.access.scheme,
        **{name: str(folder) for name, folder in _secrets(plan).items()},
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
        **{name: str(plan.root / file) for name, file in given.items() if name.endswith("_FILE")},
    }


def _image_name(process: Process) -> str:
    return process.name.removesuffix("-flask").removesuffix("-react")


def _write_environment(plan: Plan) -> Path:
    """A folder with the variables of each service, as Compose reads them.

    Raises StackError for a value that such a file cannot hold.
    """
    folder = _environment_folder(plan)
    folder.mkdir(parents=True, exist_ok=True)
    for process in plan.processes:
        lines = [
            f"{name}={_quoted(name, value)}\n"
            for name, value in with_keys(process.environment).items()
            if name not in IMAGES_OWN
        ]
        # It holds the keys that the service gets.
        write_private(folder / f"{process.name}.env", "".join(lines))
    return folder


def _environment_folder(plan: Plan) -> Path:
    return plan.run_dir / "compose"


def _quoted(name: str, value: str) -> str:
    """Between single quotes nothing is replaced: a key may hold a `$`."""
    if "'" in value or "\n" in value:
        raise StackError(f"{name} holds a single quote or a line break", f"give {name} without it")
    return f"'{value}'"


def compose_files(plan: Plan) -> list[Path]:
    """The compose files of what the plan runs."""
    played = any(process.name == "standins" for process in plan.processes)
    added = [COMPOSE_FILE.with_name(f"with-{name}.yaml") for name in plan.settings.fragments]
    return [
        COMPOSE_FILE,
        *([STANDINS_FILE] if played else []),
        *([PAGE_FILE] if plan.page_url else []),
        *(file for file in added if (plan.root / file).is_file()),
    ]


def down(plan: Plan) -> bool:
    """Remove the plan's containers and network, the collector last, and give back the engine.

    Returns whether anything ran. Raises StackError when the engine does not remove them.
    """
    engine = find_engine()
    ran = False
    if engine is not None and engine.compose is not None:
        ran = bool(_containers(plan))
        try:
            _compose(plan, "down", "--remove-orphans", seconds=DOWN_SECONDS)
        except ProgramError as failed:
            raise StackError(
                f"the containers of {plan.project} were not removed ({failed})",
                f"look with `docker ps --filter label={PROJECT_LABEL}={plan.project}`",
            ) from None
    release(_lease(plan))
    for file in _environment_folder(plan).glob("*.env"):
        file.unlink()  # it holds keys
    return ran


def status(plan: Plan) -> list[Service]:
    """One entry a service. Empty when the stack is not up."""
    containers = {_service(container): container for container in _containers(plan)}
    if not containers:
        return []
    return [_describe(process.name, containers.get(process.name)) for process in plan.processes]


def output(plan: Plan, service: str) -> list[str]:
    """The lines that a service printed lately."""
    words = ["logs", "--no-color", "--no-log-prefix", f"--tail={OUTPUT_LINES}", service]
    printed = _compose(plan, *words, seconds=ASK_SECONDS)
    return [line.removeprefix("\x1b[2K") for line in printed.splitlines()]


def logs(plan: Plan, service: str | None, *, follow: bool, lines: int) -> None:
    """Print the last `lines` lines of each service, or of one; with `follow`, what comes too."""
    chosen = [service] if service else []
    following = ["--follow"] if follow else []
    command = ["docker", "compose", "--project-name", plan.project, "logs", f"--tail={lines}"]
    with subprocess.Popen([*command, *following, *chosen], stdout=subprocess.PIPE, cwd="/") as said:
        for line in said.stdout or ():
            # Compose 2.26 begins each line with this, also where nobody sees a terminal.
            sys.stdout.buffer.write(line.removeprefix(b"\x1b[2K"))
            sys.stdout.buffer.flush()


def is_running(plan: Plan) -> bool:
    """Whether any container of this project runs."""
    try:
        return bool(run(_list(plan, "--quiet"), seconds=ASK_SECONDS).strip())
    except ProgramError:
        # No client, or no engine: then nothing runs on it.
        return False


def stop_process(plan: Plan, name: str) -> None:
    """Stop one service and wait for its end; the others go on."""
    _compose(plan, "stop", name, seconds=DOWN_SECONDS)


def start_process(plan: Plan, name: str) -> None:
    """Start a stopped service and wait until it is healthy."""
    _compose(plan, "start", name, seconds=UP_SECONDS)
    _wait_healthy(plan, plan.process(name))


def _check_profile(plan: Plan) -> None:
    """Say until when the keys of AWS_PROFILE are good. Raises StackError where it has none."""
    ends = {with_keys(process.environment).get(EXPIRATION) for process in plan.processes} - {None}
    for end in ends:
        console.print(
            f"  AWS_PROFILE={plan.settings.aws_profile} has keys until {end}: `make up` again "
            "hands out new ones, RUNTIME=native renews them by itself",
            soft_wrap=True,
        )


def _check_local(engine: Engine) -> None:
    if not engine.local:
        raise StackError(
            f"the Docker engine at {engine.host} does not see this machine's folders",
            "unset DOCKER_HOST or choose a local context, or use RUNTIME=native",
        )


def _lease(plan: Plan) -> str:
    return f"up-{plan.project}"


def _user(engine: Engine) -> str:
    if engine.rootless:
        # There root is the engine's own unprivileged user, the only one that may write here.
        return "0:0"
    if os.geteuid() == 0:
        return f"{UNPRIVILEGED}:{UNPRIVILEGED}"
    return f"{os.geteuid()}:{os.getegid()}"


def _give(folder: Path, user: str) -> None:
    """Make `folder` and what it holds the property of the containers' user, where root may."""
    if os.geteuid() != 0:
        return
    uid, _, gid = user.partition(":")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, int(uid), int(gid), follow_symlinks=False)


def _checked_config(plan: Plan, image: str) -> str:
    """The wanted config as the image can run it, and as that image has found it valid."""
    source = wanted_file(plan)
    if not _is_adot(image):
        _validate(plan, image, source)
        return source.read_text()
    text, losses = render_for_adot(load(source))
    for loss in losses:
        console.print(f"  not in ADOT: {loss}", soft_wrap=True)
    form = plan.run_dir / "collector/adot.yaml"
    form.parent.mkdir(parents=True, exist_ok=True)
    form.write_text(text)
    _validate(plan, image, form)
    return text


def _validate(plan: Plan, image: str, config: Path) -> None:
    environment = plan.process("collector").environment
    docker = ["docker", "run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL"]
    mount = f"--mount=type=bind,source={config},target={config},readonly"
    # As the caller, who can read the file.
    user = f"--user={os.geteuid()}:{os.getegid()}"
    names = [word for name in environment for word in ("--env", name)]
    try:
        command = [*docker, mount, user, *names, image]
        validate(command, config, environment, plan.config_sources)
    except StackError as refused:
        if "exec /otelcol" not in refused.what:
            raise
        raise StackError(
            f"COLLECTOR_BIN {plan.settings.collector_bin} does not run in an empty image",
            "give it a static one (CGO_ENABLED=0), or use RUNTIME=native",
        ) from None


def _is_adot(image: str) -> bool:
    """Whether an image is ADOT, also under another name: its binary is called awscollector."""
    template = "{{json .Config.Entrypoint}}"
    try:
        shown = run(
            ["docker", "image", "inspect", "--format", template, image], seconds=ASK_SECONDS
        )
    except ProgramError as failed:
        raise StackError(f"the image {image} cannot be looked at ({failed})") from None
    return "awscollector" in shown


def _compose_up(plan: Plan, variables: dict[str, str], only: str | None = None) -> None:
    scope = ["--no-deps", only] if only else ["--remove-orphans"]
    try:
        _compose(plan, "up", "--detach", "--no-build", "--pull=never", *scope,
                 seconds=UP_SECONDS, variables=variables)  # fmt: skip
    except ProgramError as failed:
        raise StackError(
            f"Docker Compose did not start the containers ({failed})",
            "with `docker compose ls` you see which projects run",
        ) from None


def _compose(
    plan: Plan, *words: str, seconds: float, variables: dict[str, str] | None = None
) -> str:
    """Run Compose on this project.

    Only `up` has `variables`, and so reads the compose file: what runs is known to the engine.
    """
    command = ["docker", "compose", "--project-name", plan.project]
    if variables is not None:
        # `.env` has one reader, the settings.
        command += ["--env-file", os.devnull]
        command += [f"--file={plan.root / file}" for file in compose_files(plan)]
    return run([*command, *words], seconds=seconds, environment=variables, cwd=Path("/"))


def _wait_healthy(plan: Plan, process: Process) -> None:
    first = _container(plan, process.name)
    restarts = first["RestartCount"] if first else 0

    def look() -> str:
        container = _container(plan, process.name)
        if container is None:
            return "ended, its container is gone"
        state = container["State"]
        if state["Status"] in {"exited", "dead", "restarting"}:
            return f"ended with exit code {state['ExitCode']}"
        if container["RestartCount"] > restarts:
            # It runs again by now, and the code of its end is gone.
            return "ended"
        return "healthy" if requests.get(process.health, timeout=2).ok else state["Status"]

    try:
        found = wait_for(
            f"{process.name} on {process.health}",
            look,
            until=lambda seen: seen == "healthy" or seen.startswith("ended"),
            seconds=HEALTHY_SECONDS,
        )
    except DeadlineError as late:
        log, _ = _keep_log(plan, process.name)
        raise StackError(
            f"{process.name} did not become healthy within {HEALTHY_SECONDS} s: {late.seen}",
            f"its log is {log}",
        ) from None
    if found != "healthy":
        log, last = _keep_log(plan, process.name)
        raise StackError(
            f"{process.name} {found} while it was starting: {last}",
            f"its log is {log}",
        )


def _keep_log(plan: Plan, name: str) -> tuple[Path, str]:
    """Write what a container printed to the log folder; it goes with the container else."""
    log = plan.folders["LOG_DIR"] / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    container = _container(plan, name)
    if container is not None:
        run(["docker", "logs", container["Id"]], seconds=ASK_SECONDS, log=log)
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return log, lines[-1] if lines else "it printed nothing"


def _list(plan: Plan, *options: str) -> list[str]:
    return [
        "docker",
        "ps",
        "--no-trunc",
        f"--filter=label={PROJECT_LABEL}={plan.project}",
        *options,
    ]


def _containers(plan: Plan, *options: str) -> list[dict[str, Any]]:
    """What `docker inspect` tells of each container of the project, stopped ones too."""
    try:
        ids = run(_list(plan, "--all", "--quiet", *options), seconds=ASK_SECONDS).split()
        if not ids:
            return []
        return list(json.loads(run(["docker", "inspect", *ids], seconds=ASK_SECONDS)))
    except ProgramError:
        # Gone between the two questions, or no engine.
        return []


def _container(plan: Plan, name: str) -> dict[str, Any] | None:
    found = _containers(plan, f"--filter=label={SERVICE_LABEL}={name}")
    return found[0] if found else None


def _service(container: dict[str, Any]) -> str:
    return str(container["Config"]["Labels"].get(SERVICE_LABEL, ""))


def _describe(name: str, container: dict[str, Any] | None) -> Service:
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
