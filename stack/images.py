"""The images of the stack, made by Compose: what BuildKit has in its cache is not made again."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stack import packages
from stack.collector_build import NoGoError, ensure_image_files
from stack.console import step
from stack.disk import full_disk
from stack.errors import StackError, read_committed
from stack.locking import only_one
from stack.page_build import ensure_image_files as ensure_image_files_of_page
from stack.program import ProgramError, run
from stack.registry import have
from stack.runtimes.compose import compose
from stack.services import COLLECTOR, PAGE, Plan

BUILD_SECONDS = 1800
"""The collector takes seven minutes on two cores, where it has to be compiled."""

BUILD_LOG = Path(".run/logs/build-images.log")

_CA_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
_CA_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_SECRET_LIMIT = 500 * 1024
"""BuildKit's own limit for one secret."""

_PIP_NAMES = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")


def ensure_images(plan: Plan, names: Iterable[str] | None = None) -> dict[str, str]:
    """References of the images of the plan's services, or of those called `names`.

    An unchanged tree costs a question to the engine. Raises StackError.
    """
    wanted = [process.name for process in plan.processes] if names is None else [*names]
    chosen = plan.settings.collector_image
    images = {name: f"{plan.project}-{name}" for name in wanted}
    made = [name for name in wanted if not (chosen and name == COLLECTOR)]
    if chosen and COLLECTOR in images:
        images[COLLECTOR] = chosen
        have(chosen, "name another in COLLECTOR_IMAGE, or take it out")
    if made:
        with only_one(plan.root / ".run/images.lock"), _secrets() as secrets:
            _build(plan, made, {**_prebuilt(plan, made), **secrets})
    return images


def _check_base(plan: Plan, dockerfile: Path, argument: str) -> None:
    """Pull what images begin with, where the engine does not hold it. Raises StackError.

    BuildKit would do so too, and wait long for a registry that is out of reach.
    """
    chosen = plan.environment.get(argument)
    todo = f"name one that the engine holds by {argument}=…, or run natively (RUNTIME=native)"
    have(chosen or default_argument(plan.root / dockerfile, argument), todo)


def default_argument(dockerfile: Path, name: str) -> str:
    """What `ARG name=` stands for in a Dockerfile. Raises StackError when there is no such line."""
    found = re.search(rf"^ARG {name}=(\S+)$", read_committed(dockerfile), re.MULTILINE)
    if found is None:
        raise StackError(f"{dockerfile} has no line ARG {name}=…", "restore it from git")
    return found[1]


def _prebuilt(plan: Plan, names: Iterable[str]) -> dict[str, str]:
    """What was made outside of any container: it is what runs natively too, and made once."""
    found: dict[str, str] = {}
    if {*names} - {COLLECTOR}:
        _check_base(plan, Path("services/Dockerfile"), "PYTHON_IMAGE")
    if COLLECTOR in names and sys.platform == "linux":
        # An image with Go may be there where no Go is.
        try:
            folder = ensure_image_files(plan.root, plan.settings.collector_bin)
        except NoGoError:
            _check_base(plan, Path("collector/Dockerfile"), "GO_IMAGE")
        else:
            shutil.copyfile(plan.root / "collector/Dockerfile", folder / "Dockerfile")
            found |= {"COLLECTOR_CONTEXT": str(folder), "COLLECTOR_TARGET": "prebuilt"}
    if PAGE in names:
        folder = ensure_image_files_of_page(plan.root)
        shutil.copyfile(plan.root / "services/frontend/Dockerfile", folder / "Dockerfile")
        found |= {"PAGE_CONTEXT": str(folder), "PAGE_TARGET": "prebuilt"}
    return found


def _build(plan: Plan, names: list[str], variables: Mapping[str, str]) -> None:
    log = plan.root / BUILD_LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    with step(f"building the images of {', '.join(names)}"):
        try:
            compose(
                plan,
                "build",
                *names,
                seconds=BUILD_SECONDS,
                variables={**variables, "BUILDKIT_PROGRESS": "plain", "DOCKER_BUILDKIT": "1"},
                log=log,
            )
        except ProgramError as failed:
            raise _not_built("the images could not be built", failed, log) from None


def build_page(root: Path, folder: Path, node_image: str | None) -> None:
    """Build the page in a container, its files into `folder`. Raises StackError."""
    chosen = [f"--build-arg=NODE_IMAGE={node_image}"] if node_image else []
    output = f"--output=type=local,dest={folder}"
    docker_build(root, "the page", root / "services/frontend", "--target=files", output, *chosen)


def docker_build(root: Path, what: str, context: Path, *words: str) -> None:
    """What no service is, by `docker build`. Raises StackError."""
    log = root / ".run/logs" / f"build-{what.rpartition(' ')[2]}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with step(f"building {what} in a container"), _secrets() as secrets:
        command = [
            *("docker", "build", "--progress=plain", *words),
            *(f"--secret=id={name.lower()},src={path}" for name, path in secrets.items()),
            str(context),
        ]
        try:
            run(command, seconds=BUILD_SECONDS, environment={"DOCKER_BUILDKIT": "1"}, log=log)
        except ProgramError as failed:
            raise _not_built(f"{what} could not be built", failed, log) from None


def _not_built(what: str, failed: ProgramError, log: Path) -> StackError:
    full = full_disk(what, failed.output)
    return full or StackError(f"{what}: {_reason(failed)}", f"the build's log is {log}")


def _reason(failed: ProgramError) -> str:
    """The line of a build's log that tells most."""
    lines: list[str] = re.findall(r"^#\d+ [\d.]+ (.*\S)", failed.output, re.MULTILINE)
    errors = [line for line in lines if re.match(r"error|fatal", line, re.IGNORECASE)]
    return (errors or [failed.last_line or failed.reason])[-1]


@contextmanager
def _secrets() -> Iterator[dict[str, str]]:
    """What a build must know of this machine and no image may hold, by the compose file's name."""
    with tempfile.TemporaryDirectory(prefix="otel-stack-build-") as scratch:
        found: dict[str, Path | None] = {"CA_BUNDLE": ca_bundle(), "NPMRC": _npm_settings()}
        if settings := pip_settings():
            found["PIP_CONF"] = file = Path(scratch) / "pip.conf"
            file.touch(mode=0o600)
            config = configparser.RawConfigParser()
            config["global"] = settings
            with file.open("w") as stream:
                config.write(stream)
        yield {name: str(path) for name, path in found.items() if path}


def ca_bundle() -> Path | None:
    """The certificates that this machine trusts, where a build needs to be told."""
    named = (os.environ.get(name) for name in _CA_VARIABLES)
    for candidate in (*filter(None, named), *_CA_FILES):
        path = Path(candidate)
        if path.is_file() and 0 < path.stat().st_size <= _SECRET_LIMIT:
            return path
    return None


def _npm_settings() -> Path | None:
    """The user's npmrc, which may name another registry and hold the key to it."""
    file = Path(os.environ.get("NPM_CONFIG_USERCONFIG", Path.home() / ".npmrc"))
    return file if file.is_file() and 0 < file.stat().st_size <= _SECRET_LIMIT else None


def pip_settings() -> dict[str, str]:
    """Where this user's pip finds packages, from its files and the environment."""
    return {name: value for name, value in packages.pip_settings().items() if name in _PIP_NAMES}
