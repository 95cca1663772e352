"""The images of the stack: made when their sources changed, found by content otherwise."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from stack.collector_build import NoGoError, ensure_image_files
from stack.console import step
from stack.disk import full_disk
from stack.engine import require_engine
from stack.errors import StackError
from stack.locking import only_one
from stack.page_build import ensure_image_files as ensure_image_files_of_page
from stack.program import ProgramError, run
from stack.registry import have
from stack.settings import ROOT, Settings, load_settings

NAMES = ("backend", "profiles", "collector")
BUILD_SECONDS = 900
ASK_SECONDS = 15

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_PASSED_ON = (*_PROXIES, "GOPROXY", "GOFLAGS")
_CA_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
_CA_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_SECRET_LIMIT = 500 * 1024
"""BuildKit's own limit for one secret."""

_PIP_NAMES = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
_NOT_SOURCES = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".venv", "otel.env"}
"""Left out of what an image is known by: made by running, or given to the container."""


@dataclass(frozen=True)
class BaseImage:
    """`identity` changes with the image's content."""

    reference: str
    identity: str


@dataclass(frozen=True)
class Recipe:
    """How one image is made. `sources`: the files and folders that it is made from."""

    name: str
    context: Path
    dockerfile: Path
    sources: tuple[Path, ...]
    target: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    identity: str = ""
    """Whatever else changes the image: the id of the one it begins with."""

    @property
    def repository(self) -> str:
        return f"otel-stack/{self.name}"


def ensure_images(
    root: Path = ROOT, settings: Settings | None = None, names: Iterable[str] = NAMES
) -> dict[str, str]:
    """References of the images by name; `emulators` is made only when it is asked for.

    The tag of each is a digest of its sources, so that an unchanged tree costs a few questions to
    the engine. Needs an engine that answers. Raises StackError.
    """
    settings = settings or load_settings(root)
    with only_one(root / ".run/images.lock"):
        images = {}
        base: BaseImage | None = None
        for name in names:
            if name == "collector":
                images[name] = _collector(root, settings)
                continue
            base = base or base_image(
                root / "services/Dockerfile", "PYTHON_IMAGE", settings.python_image
            )
            if name == "frontend":
                images[name] = ensure_image(_page(root, base), root)
            elif name == "emulators":
                images[name] = ensure_image(_emulators(root, base), root)
            else:
                images[name] = ensure_image(_service(root, name, base), root)
    return images


def base_image(dockerfile: Path, argument: str, chosen: str | None) -> BaseImage:
    """What images begin with: the one that the user chose, else the Dockerfile's public default.

    `argument`: the Dockerfile's, which is also the setting's name. Raises StackError where the
    engine neither holds nor can pull it.
    """
    reference = chosen or default_argument(dockerfile, argument)
    todo = f"name one that the engine holds by {argument}=…, or run natively (RUNTIME=native)"
    return BaseImage(reference, have(reference, todo))


def _emulators(root: Path, base: BaseImage) -> Recipe:
    folder = root / "emulators"
    return Recipe(
        name="emulators",
        context=folder,
        dockerfile=folder / "Dockerfile",
        sources=(folder,),
        arguments={"PYTHON_IMAGE": base.reference},
        identity=base.identity,
    )


def _page(root: Path, base: BaseImage) -> Recipe:
    folder = ensure_image_files_of_page(root)
    return Recipe(
        name="frontend",
        context=folder,
        dockerfile=root / "services/frontend/Dockerfile",
        sources=(folder,),
        target="production",
        arguments={"PYTHON_IMAGE": base.reference},
        identity=base.identity,
    )


_SERVICES = {"backend", "profiles", "frontend"}


def _service(root: Path, name: str, base: BaseImage) -> Recipe:
    services = root / "services"
    others = _SERVICES - {name}
    port = Settings.model_fields[f"{name}_port"].default
    return Recipe(
        name=name,
        context=services,
        dockerfile=services / "Dockerfile",
        sources=tuple(path for path in services.iterdir() if path.name not in others),
        target="production",
        arguments={"PYTHON_IMAGE": base.reference, "SERVICE": name, "PORT": str(port)},
        identity=base.identity,
    )


def _collector(root: Path, settings: Settings) -> str:
    """The image that the user chose, else one with our own build."""
    if settings.collector_image:
        have(settings.collector_image, "name another in COLLECTOR_IMAGE, or take it out")
        return settings.collector_image
    dockerfile = root / "collector/Dockerfile"
    if sys.platform == "linux":
        # The binary that runs natively too: it is compiled once, and what is tested is the same.
        try:
            folder = ensure_image_files(root, settings.collector_bin)
        except NoGoError:
            # An image with Go may be there where no Go is.
            pass
        else:
            return ensure_image(
                Recipe("collector", folder, dockerfile, (folder,), target="prebuilt"), root
            )
    base = base_image(dockerfile, "GO_IMAGE", settings.go_image)
    folder = root / "collector"
    return ensure_image(
        Recipe(
            "collector",
            folder,
            dockerfile,
            (folder,),
            target="from-source",
            arguments={"GO_IMAGE": base.reference},
            identity=base.identity,
        ),
        root,
    )


def default_argument(dockerfile: Path, name: str) -> str:
    """What `ARG name=` stands for in a Dockerfile. Raises StackError when there is no such line."""
    try:
        found = re.search(rf"^ARG {name}=(\S+)$", dockerfile.read_text(), re.MULTILINE)
    except OSError as failed:
        raise StackError(
            f"{dockerfile} cannot be read ({failed.strerror})", "restore it from git"
        ) from None
    if found is None:
        raise StackError(f"{dockerfile} has no line ARG {name}=…", "restore it from git")
    return found[1]


def ensure_image(recipe: Recipe, root: Path) -> str:
    """The reference of an image that holds the recipe's sources, made if there is none."""
    reference = f"{recipe.repository}:{digest(recipe)}"
    if not _is_latest(reference, f"{recipe.repository}:latest"):
        with step(f"building the image {recipe.repository}"):
            latest = f"{recipe.repository}:latest"
            _build(recipe, root, f"--tag={reference}", f"--tag={latest}")
    return reference


def _is_latest(reference: str, latest: str) -> bool:
    """Whether the engine holds the image, which is called `latest` from now on."""
    try:
        run(["docker", "tag", reference, latest], seconds=ASK_SECONDS)
    except ProgramError as failed:
        if "no such image" in failed.output.lower():
            return False
        raise StackError(f"the Docker engine does not find its images ({failed})") from None
    return True


def digest(recipe: Recipe) -> str:
    """Twelve hexadecimal digits that change with anything that the image is made from."""
    seen = hashlib.sha256()
    for text in (recipe.target or "", recipe.identity, *sorted(recipe.arguments.values())):
        seen.update(text.encode() + b"\0")
    for file in _files((recipe.dockerfile, *recipe.sources)):
        name = os.path.relpath(file, recipe.context) if file != recipe.dockerfile else ""
        seen.update(f"{name}\0{os.access(file, os.X_OK)}\0".encode())
        with file.open("rb") as content:
            seen.update(hashlib.file_digest(content, "sha256").digest())
    return seen.hexdigest()[:12]


def _files(paths: Iterable[Path]) -> list[Path]:
    found: set[Path] = set()
    for path in paths:
        if path.name in _NOT_SOURCES:
            continue
        if path.is_file():
            found.add(path)
            continue
        for folder, folders, names in os.walk(path):
            folders[:] = [name for name in folders if name not in _NOT_SOURCES]
            found.update(Path(folder) / name for name in names if name not in _NOT_SOURCES)
    return sorted(found)


def build_page(root: Path, folder: Path, node_image: str | None) -> None:
    """Build the page in a container, its files into `folder`. Raises StackError."""
    sources = root / "services/frontend"
    dockerfile = sources / "Dockerfile"
    base = base_image(dockerfile, "NODE_IMAGE", node_image)
    recipe = Recipe(
        "page", sources, dockerfile, (), target="files", arguments={"NODE_IMAGE": base.reference}
    )
    with step("building the page in a container"):
        _build(recipe, root, f"--output=type=local,dest={folder}")


def _build(recipe: Recipe, root: Path, *result: str) -> None:
    """`result`: the words that say what becomes of it, an image with tags or a folder."""
    log = root / f".run/logs/build-{recipe.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with _secrets() as secrets:
        command = [
            "docker",
            "build",
            "--progress=plain",
            f"--file={recipe.dockerfile}",
            *result,
            *([f"--target={recipe.target}"] if recipe.target else []),
            *(f"--build-arg={name}={value}" for name, value in recipe.arguments.items()),
            # By name only: a proxy's address may hold a password, and argv is for all to read.
            *(f"--build-arg={name}" for name in _PASSED_ON if os.environ.get(name)),
            *(f"--secret=id={name},src={path}" for name, path in secrets.items()),
            str(recipe.context),
        ]
        try:
            run(command, seconds=BUILD_SECONDS, environment={"DOCKER_BUILDKIT": "1"}, log=log)
        except ProgramError as failed:
            full = full_disk(f"the image {recipe.repository} could not be built", failed.output)
            raise full or StackError(
                f"the image {recipe.repository} could not be built: {_reason(failed)}",
                f"the build's log is {log}",
            ) from None


def _reason(failed: ProgramError) -> str:
    """The line of a build's log that tells most."""
    lines: list[str] = re.findall(r"^#\d+ [\d.]+ (.*\S)", failed.output, re.MULTILINE)
    errors = [line for line in lines if re.match(r"error|fatal", line, re.IGNORECASE)]
    return (errors or [failed.last_line or failed.reason])[-1]


@contextmanager
def _secrets() -> Iterator[dict[str, Path]]:
    """What a build must know of this machine and no image may hold, by the secret's id."""
    with tempfile.TemporaryDirectory(prefix="otel-stack-build-") as scratch:
        secrets = {}
        bundle = ca_bundle()
        if bundle:
            secrets["ca_bundle"] = bundle
        if npmrc := _npm_settings():
            secrets["npmrc"] = npmrc
        settings = pip_settings()
        if settings:
            file = Path(scratch) / "pip.conf"
            file.touch(mode=0o600)
            config = configparser.RawConfigParser()
            config["global"] = settings
            with file.open("w") as stream:
                config.write(stream)
            secrets["pip_conf"] = file
        yield secrets


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
    try:
        listed = run([sys.executable, "-m", "pip", "config", "list"], seconds=30)
    except ProgramError:
        return {}
    found = re.findall(r"^[\w:.]*\.([\w-]+)='(.*)'$", listed, re.MULTILINE)
    return {name: value for name, value in found if name in _PIP_NAMES}


if __name__ == "__main__":
    require_engine()
    sys.stdout.write(json.dumps(ensure_images(), indent=2) + "\n")
