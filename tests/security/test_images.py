"""The containers as they run, the images as they are: little to do harm with for who gets in."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

from stack.page_build import can_serve_page
from stack.plan import PAGE
from stack.settings import ROOT
from tests.integration.harness.checkout import Checkout

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES = ("collector", "backend-flask", "profiles-flask", "standins", PAGE)
SHELLS = {"sh", "ash", "bash", "dash", "busybox", "ksh", "zsh"}
PACKAGE_TOOLS = {"pip", "pip3", "gcc", "cc", "make", "curl", "wget", "git"}
PIP = re.compile(r"-packages/pip/|/ensurepip/|/pip-[^/]+\.whl$")
CACHES = ("root/.cache/", "var/lib/apt/lists/", "var/cache/apt/archives/", "tmp/")
WRITABLE = {
    "collector": {"/var/lib/otel/telemetry", "/var/lib/otel/queues"},
    "backend-flask": {"/tmp", "/var/lib/cruddur"},  # noqa: S108
    "profiles-flask": {"/tmp"},  # noqa: S108
    "standins": {"/tmp"},  # noqa: S108
    PAGE: {"/tmp"},  # noqa: S108
}
"""What a container may write to, besides what the kernel mounts under /dev and /proc."""

pytestmark = pytest.mark.usefixtures("docker_only")


@pytest.fixture(scope="module")
def docker_only(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--runtime") == "native":
        pytest.skip("about containers")


@pytest.fixture(scope="module")
def containers(
    docker_only: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, dict[str, Any]]]:
    """What `docker inspect` says of each running container, by service."""
    del docker_only
    checkout = Checkout(tmp_path_factory.mktemp("checkout"), page=can_serve_page(ROOT))
    checkout.settings["RUNTIME"] = "docker"
    try:
        up = checkout.run("up")
        assert up.code == 0, up.output
        label = f"label=com.docker.compose.project={checkout.settings['PROJECT']}"
        inspected = json.loads(_docker("inspect", *_docker("ps", "-q", f"-f={label}").split()))
        yield {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in inspected}
    finally:
        checkout.close()


@pytest.fixture(scope="module", params=SERVICES)
def container(
    request: pytest.FixtureRequest, containers: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    if request.param == PAGE and not can_serve_page(ROOT):
        pytest.skip("no Node to build the page with")
    return containers[request.param]


@pytest.fixture(scope="module")
def files(container: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Each file of the container's own file system: its mode by its path, 0 for a link."""
    archive = tmp_path_factory.mktemp("files") / "files.tar"
    with archive.open("wb") as out:
        subprocess.run(["docker", "export", container["Id"]], stdout=out, check=True)
    with tarfile.open(archive) as held:
        found = {one.name: one.mode if one.isreg() else 0 for one in held if not one.isdir()}
    archive.unlink()
    return found


def _docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=True)
    return done.stdout


def _status(container: dict[str, Any]) -> dict[str, str]:
    """The kernel's word on the container's first process."""
    text = Path(f"/proc/{container['State']['Pid']}/status").read_text()
    return {
        name: value.strip()
        for name, _, value in (line.partition(":") for line in text.splitlines())
    }


def test_it_runs_as_nobody_with_no_capability_and_can_gain_none(container: dict[str, Any]) -> None:
    status = _status(container)

    assert "0" not in status["Uid"].split()
    assert "0" not in status["Gid"].split()
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"] == "1"
    # Docker's own filter of system calls; 0 where somebody switched it off.
    assert status["Seccomp"] == "2"


def test_it_can_write_only_where_it_has_to(container: dict[str, Any]) -> None:
    service = container["Config"]["Labels"]["com.docker.compose.service"]
    mounts = Path(f"/proc/{container['State']['Pid']}/mountinfo").read_text().splitlines()

    points = [line.split()[4:6] for line in mounts]
    writable = {point for point, options in points if "rw" in options.split(",")}

    kernels = {point for point in writable if re.match(r"/(dev|proc|sys)(/|$)", point)}
    # Docker's own three files; they are of this container alone.
    dockers = {"/etc/resolv.conf", "/etc/hostname", "/etc/hosts"}
    assert writable - kernels - dockers == WRITABLE[service]
    assert not any("docker.sock" in point for point, _ in points)


def test_it_cannot_take_the_machine_with_it(container: dict[str, Any]) -> None:
    host = container["HostConfig"]

    assert 0 < host["Memory"] <= 1 << 30
    assert 0 < host["PidsLimit"] <= 200
    assert host["LogConfig"]["Config"]["max-size"]
    assert not host["Privileged"]
    assert {host["PidMode"], host["UTSMode"]} == {""}
    assert host["IpcMode"] == "private"
    assert host["NetworkMode"] not in {"host", "none"}
    assert not host["Devices"]


def test_the_collectors_image_is_the_collector(containers: dict[str, dict[str, Any]]) -> None:
    image = containers["collector"]["Image"]
    made = _docker("create", image).strip()
    try:
        listed = subprocess.run(["docker", "export", made], capture_output=True, check=True)
    finally:
        _docker("rm", made)
    names = subprocess.run(
        ["tar", "--list"], input=listed.stdout, capture_output=True, check=True
    ).stdout.decode()

    programs = {name for name in names.splitlines() if not name.endswith("/")}
    # Docker adds what a container needs in order to start.
    added = {
        ".dockerenv",
        "etc/hostname",
        "etc/hosts",
        "etc/mtab",
        "etc/resolv.conf",
        "dev/console",
    }
    assert programs - added == {
        "otelcol",
        "probe",
        "etc/passwd",
        "etc/group",
        "etc/otelcol/config.yaml",
        "etc/ssl/certs/ca-certificates.crt",
    }


def test_there_is_no_shell_for_who_gets_into_the_collector(
    containers: dict[str, dict[str, Any]],
) -> None:
    for shell in sorted(SHELLS):
        tried = subprocess.run(
            ["docker", "exec", containers["collector"]["Id"], shell, "-c", "true"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert tried.returncode != 0
        assert "executable file not found" in tried.stdout + tried.stderr


def test_nothing_to_install_or_compile_with_and_no_caches(files: dict[str, int]) -> None:
    programs = {name for name in files if re.match(r"(usr/(local/)?|opt/venv/)?s?bin/", name)}

    assert {PurePosixPath(name).name for name in programs} & PACKAGE_TOOLS == set()
    # In a base that is made of Debian's packages pip is a wheel, from which ensurepip makes it.
    assert [name for name in files if PIP.search(name)] == []
    assert [name for name in files if name.startswith(CACHES) and not name.endswith("/lock")] == []


def test_its_own_files_are_not_its_to_change(
    container: dict[str, Any], files: dict[str, int]
) -> None:
    """Read-only as a whole, and without that too: for who runs the image in another way."""
    others = 0o002
    writable = [name for name, mode in files.items() if mode & others]

    assert container["Config"]["User"] not in {"", "0", "root", "0:0"}
    assert writable == []
