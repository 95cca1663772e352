"""The page's build: made when its sources changed, kept otherwise.

With the machine's Node; where there is none, in a container of the engine's.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from stack.caches import own_caches
from stack.console import step
from stack.disk import check_room, full_disk
from stack.engine import find_engine
from stack.errors import StackError
from stack.locking import only_one
from stack.program import ProgramError, run

ROOM = 250
"""MB of node_modules (226, measured 2026-11-30)."""

SOURCES = Path("services/frontend")
BUILT = Path(".run/page")
IMAGE_FILES = Path(".run/page-image")
OLDEST_NODE = (20, 19)
INSTALL_SECONDS = 600
BUILD_SECONDS = 300
ASK_SECONDS = 30
TODO = (
    f"install Node {'.'.join(map(str, OLDEST_NODE))} or newer with npm, "
    "or leave the page out with PAGE=off"
)

_NOT_SOURCES = {"node_modules", "dist", "server", "Dockerfile", "eslint.config.js"}
"""Of the page's folder, what its build does not read."""


class NoNodeError(StackError):
    """No Node that can build the page."""


def can_serve_page(root: Path) -> bool:
    """Whether the page is built already or could be: one question to the machine, no work."""
    return _is_built(root) or shutil.which("npm") is not None


def build_without_node(root: Path, node_image: str | None = None) -> None:
    """Build the page in a container, where there is an engine and no Node.

    `node_image`: what the user chose for it. Raises NoNodeError where that cannot be done either.
    """
    if find_engine() is None:
        raise NoNodeError("there is neither Node nor a Docker engine to build the page with", TODO)
    # Images need the page; only here the page needs an image.
    from stack.images import build_page  # noqa: PLC0415

    folder = root / BUILT
    fresh = folder.with_name("page-new")
    with only_one(folder.with_suffix(".lock")):
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            build_page(root, fresh, node_image)
        except StackError as failed:
            raise NoNodeError(f"there is no Node, and {failed.what}", failed.todo) from None
        _take(fresh, root)


def ensure_page(root: Path) -> Path:
    """The folder of the built page.

    Raises NoNodeError where it has to be built and cannot, StackError with npm's or the build's
    own line when it fails.
    """
    folder = root / BUILT
    with only_one(folder.with_suffix(".lock")):
        if not _is_built(root):
            ensure_node_packages(root)
            with step("building the page"):
                _build(root, folder)
    return folder


def ensure_image_files(root: Path) -> Path:
    """A folder with all that the page's image is made of: its build context.

    Raises as `ensure_page` does.
    """
    page = ensure_page(root)
    folder = root / IMAGE_FILES
    with only_one(folder.with_suffix(".lock")):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(page, folder / "page")
        caches = shutil.ignore_patterns("__pycache__")
        shutil.copytree(root / SOURCES / "server", folder / "server", ignore=caches)
    return folder


def ensure_node_packages(root: Path) -> None:
    """The packages of the page's lock in its node_modules. Raises as `ensure_page` does."""
    frontend = root / SOURCES
    lock = frontend / "package-lock.json"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    stamp = frontend / "node_modules/.lock-sha256"
    with only_one(root / ".run/node-modules.lock"):
        if stamp.exists() and stamp.read_text() == wanted:
            return
        check_node()
        check_room(frontend, "the page's packages", ROOM)
        with step("installing the page's packages"):
            _npm(["npm", "ci", "--no-audit", "--no-fund"], frontend, own_caches(root))
        stamp.write_text(wanted)


def check_node() -> None:
    """Raises NoNodeError unless there is npm and a Node that is new enough."""
    try:
        said = run(["node", "--version"], seconds=ASK_SECONDS).strip()
    except ProgramError:
        raise NoNodeError("there is no Node to build the page with", TODO) from None
    found = re.match(r"v(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_NODE:
        raise NoNodeError(f"Node {said} is too old to build the page", TODO)
    if shutil.which("npm") is None:
        raise NoNodeError("Node is there, but not npm", TODO)


def _npm(command: list[str], frontend: Path, caches: Mapping[str, str]) -> None:
    try:
        run(command, seconds=INSTALL_SECONDS, environment=caches, cwd=frontend)
    except ProgramError as failed:
        full = full_disk("the page's packages could not be installed", failed.output)
        if full:
            raise full from None
        errors = re.findall(
            r"^npm (?:error|ERR!) (?!A complete log)(.+)$", failed.output, re.MULTILINE
        )
        raise StackError(
            f"the page's packages could not be installed: {(errors or [str(failed)])[-1]}",
            "check that npm reaches its registry, then try again",
        ) from None


def _build(root: Path, folder: Path) -> None:
    fresh = folder.with_name("page-new")
    try:
        run(
            ["node", "node_modules/vite/bin/vite.js", "build", "--logLevel=warn"],
            seconds=BUILD_SECONDS,
            environment={"PAGE_DIR": str(fresh)},
            cwd=root / SOURCES,
        )
    except ProgramError as failed:
        full = full_disk("the page could not be built", failed.output)
        raise full or StackError(f"the page could not be built: {failed}") from None
    _take(fresh, root)


def _take(fresh: Path, root: Path) -> None:
    folder = root / BUILT
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    _stamp(folder).write_text(_digest(root))


def _is_built(root: Path) -> bool:
    folder = root / BUILT
    stamp = _stamp(folder)
    return (
        (folder / "index.html").exists() and stamp.exists() and stamp.read_text() == _digest(root)
    )


def _stamp(folder: Path) -> Path:
    return folder.with_suffix(".sha256")


def _digest(root: Path) -> str:
    seen = hashlib.sha256()
    for file in _sources(root / SOURCES):
        seen.update(f"{file.relative_to(root)}\0".encode())
        seen.update(hashlib.sha256(file.read_bytes()).digest())
    return seen.hexdigest()


def _sources(frontend: Path) -> Iterable[Path]:
    found: list[Path] = []
    for folder, folders, names in os.walk(frontend):
        folders[:] = [name for name in folders if name not in _NOT_SOURCES]
        found += [
            Path(folder) / name
            for name in names
            if name not in _NOT_SOURCES and ".test." not in name
        ]
    return sorted(found)
