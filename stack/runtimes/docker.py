"""The plan's processes as containers, by Docker Compose."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from stack.applied_config import apply_config, check_access, in_form, staged, wanted_config
from stack.aws_profile import EXPIRATION, with_keys
from stack.collector_config.distribution import Distribution, distribution_of
from stack.collector_config.files import ConfigTexts
from stack.collector_config.validation import validate
from stack.console import console, step
from stack.engine import Engine, find_engine, require_engine
from stack.errors import StackError
from stack.images import ensure_images
from stack.ports import check_free
from stack.program import ProgramError, run
from stack.runtimes.compose import (
    compose,
    compose_variables,
    copy_secrets,
    environment_folder,
    give,
    secret_folders,
    user_of,
)
from stack.runtimes.containers import (
    ASK_SECONDS,
    OUTPUT_LINES,
    PROJECT_LABEL,
    containers_of,
    describe,
    keep_log,
    listing,
    other_folder,
    service_of,
    wait_healthy,
)
from stack.runtimes.service import Service
from stack.services import COLLECTOR, Plan, Process
from stack.vendors.aws import Settings as AwsSettings

UP_SECONDS = 120
DOWN_SECONDS = 90


def up(plan: Plan) -> None:
    """Start the plan's containers and wait until each is healthy. Harmless when they run already.

    Whatever goes wrong, also Ctrl-C, removes what this call started. Raises StackError.
    """
    check_access(plan)
    _check_profile(plan)
    engine = require_engine()
    _check_ours(plan)
    running = is_running(plan)
    try:
        if not running:
            check_free(plan.ports)
        images = prepare(plan, engine)
        apply_config(plan, _checked_config(plan, images[COLLECTOR]))
        variables = compose_variables(plan, engine)
        with step("starting " + ", ".join(process.name for process in plan.processes)):
            _compose_up(plan, variables)
            for process in plan.processes:
                wait_healthy(plan, process)
    except BaseException:
        if not running:
            down(plan)
        raise


def checked_config(plan: Plan) -> ConfigTexts:
    """The config that is wanted now, as the collector's image can run it.

    Raises StackError when that image refuses it.
    """
    return _checked_config(plan, ensure_images(plan, [COLLECTOR])[COLLECTOR])


def switch_config(plan: Plan, texts: ConfigTexts) -> None:
    """Have the running collector, and nothing else, go on with `texts`. Raises StackError."""
    engine = require_engine()
    prepare(plan, engine)
    apply_config(plan, texts)
    _compose_up(plan, compose_variables(plan, engine), only=COLLECTOR)
    wait_healthy(plan, plan.process(COLLECTOR))


def prepare(plan: Plan, engine: Engine) -> dict[str, str]:
    """Make what the containers need; returns the images' references by name. Raises StackError."""
    images = ensure_images(plan)
    user = user_of(engine)
    for folder in plan.folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    for name in ("TELEMETRY_DIR", "QUEUE_DIR", "DATA_DIR"):
        give(plan.folders[name], user)
    copy_secrets(plan, user)
    return images


def restart(plan: Plan, process: Process) -> None:
    """Stop one container, start it and wait until it is healthy. Raises StackError."""
    try:
        compose(plan, "restart", process.name, seconds=UP_SECONDS)
    except ProgramError as failed:
        raise StackError(f"Docker Compose did not restart {process.name} ({failed})") from None
    wait_healthy(plan, process)


def down(plan: Plan) -> bool:
    """Remove the plan's containers and network, the collector last.

    Returns whether anything ran. Raises StackError when the engine does not remove them.
    """
    engine = find_engine()
    ran = False
    # Compose knows a stack by its name alone, and would remove another clone's.
    if engine is not None and engine.compose is not None and other_folder(plan) is None:
        containers = containers_of(plan)
        ran = bool(containers)
        for service in map(service_of, containers):
            # `make logs` has them when nothing is up any more, as after a start that failed.
            with suppress(ProgramError):
                keep_log(plan, service)
        try:
            compose(plan, "down", "--remove-orphans", seconds=DOWN_SECONDS)
        except ProgramError as failed:
            raise StackError(
                f"the containers of {plan.project} were not removed ({failed})",
                f"look with `docker ps --filter label={PROJECT_LABEL}={plan.project}`",
            ) from None
        _remove_old_images(plan)
    for file in environment_folder(plan).glob("*.env"):
        file.unlink()  # it holds keys
    for folder in secret_folders(plan).values():
        for file in folder.glob("*"):
            file.unlink()  # a copy of what OTLP_ACCESS asks for
    return ran


def _remove_old_images(plan: Plan) -> None:
    """Of those that Compose built for this project, the ones that a newer one took the name from.

    An engine that does not do so keeps them; nothing that runs needs it.
    """
    ours = f"--filter=label={PROJECT_LABEL}={plan.project}"
    with suppress(ProgramError):
        run(["docker", "image", "prune", "--force", ours], seconds=ASK_SECONDS)


def status(plan: Plan) -> list[Service]:
    """One entry a service. Empty when the stack is not up."""
    containers = {service_of(container): container for container in containers_of(plan)}
    if not containers:
        return []
    return [describe(process.name, containers.get(process.name)) for process in plan.processes]


def output(plan: Plan, service: str) -> list[str]:
    """The lines that a service printed lately."""
    words = ["logs", "--no-color", "--no-log-prefix", f"--tail={OUTPUT_LINES}", service]
    printed = compose(plan, *words, seconds=ASK_SECONDS)
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
        return bool(run(listing(plan, "--quiet"), seconds=ASK_SECONDS).strip())
    except ProgramError:
        # No client, or no engine: then nothing runs on it.
        return False


def _check_profile(plan: Plan) -> None:
    """Say until when the keys of AWS_PROFILE are good. Raises StackError where it has none."""
    ends = {with_keys(process.added).get(EXPIRATION) for process in plan.processes} - {None}
    for end in ends:
        console.print(
            f"  AWS_PROFILE={plan.settings.of(AwsSettings).aws_profile} has keys until {end}: "
            "`make up` again hands out new ones, RUNTIME=native renews them by itself",
            soft_wrap=True,
        )


def _check_ours(plan: Plan) -> None:
    folder = other_folder(plan)
    if folder is not None:
        raise StackError(
            f"the containers of the project {plan.project} are those of {folder}",
            "`make down` there, or take PROJECT out of .env here",
        )


def _checked_config(plan: Plan, image: str) -> ConfigTexts:
    """The wanted config as the image can run it, and as that image has found it valid."""
    wanted = wanted_config(plan)
    if plan.settings.collector_image or plan.settings.collector_bin:
        wanted = in_form(plan, wanted, _distribution(image))
    _validate(plan, image, staged(plan, wanted))
    return wanted


def _validate(plan: Plan, image: str, files: Sequence[Path]) -> None:
    environment = plan.process(COLLECTOR).environment
    docker = ["docker", "run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL"]
    mounts = [f"--mount=type=bind,source={file},target={file},readonly" for file in files]
    # As the caller, who can read the file.
    user = f"--user={os.geteuid()}:{os.getegid()}"
    names = [word for name in environment for word in ("--env", name)]
    try:
        command = [*docker, *mounts, user, *names, image]
        validate(command, files, environment, plan.config_sources)
    except StackError as refused:
        if "exec /otelcol" not in refused.what:
            raise
        raise StackError(
            f"COLLECTOR_BIN {plan.settings.collector_bin} does not run in an empty image",
            "give it a static one (CGO_ENABLED=0), or use RUNTIME=native",
        ) from None


def _distribution(image: str) -> Distribution:
    """Whose collector is in an image. ADOT's, also under another name, is called awscollector."""
    template = "{{json .Config.Entrypoint}}"
    try:
        shown = run(
            ["docker", "image", "inspect", "--format", template, image], seconds=ASK_SECONDS
        )
    except ProgramError as failed:
        raise StackError(f"the image {image} cannot be looked at ({failed})") from None
    if "awscollector" in shown:
        return "adot"
    return distribution_of(["docker", "run", "--rm", "--network=none", "--cap-drop=ALL", image])


def _compose_up(plan: Plan, variables: dict[str, str], only: str | None = None) -> None:
    scope = ["--no-deps", only] if only else ["--remove-orphans"]
    try:
        compose(plan, "up", "--detach", "--no-build", "--pull=never", *scope,
                seconds=UP_SECONDS, variables=variables)  # fmt: skip
    except ProgramError as failed:
        raise StackError(
            f"Docker Compose did not start the containers ({failed})",
            "with `docker compose ls` you see which projects run",
        ) from None
