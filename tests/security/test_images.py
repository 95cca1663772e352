"""The containers as they run, the images as they are: little to do harm with for who gets in."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from stack.env_file import ENV_FILE
from stack.images import ensure_images
from stack.page_build import can_serve_page
from stack.services import PAGE, make_plan
from stack.settings import ROOT, load_settings
from tests.integration.harness.checkout import Checkout
from tests.security.vendor_keys import INSTANCE, fresh_keys, keys_in, word

SERVICES = ("collector", "backend-flask", "profiles-flask", "emulators", PAGE)
SHELLS = {"sh", "ash", "bash", "dash", "busybox", "ksh", "zsh"}
PACKAGE_TOOLS = {"pip", "pip3", "gcc", "cc", "make", "curl", "wget", "git"}
PIP = re.compile(r"-packages/pip/|/ensurepip/|/pip-[^/]+\.whl$")
CACHES = ("root/.cache/", "var/lib/apt/lists/", "var/cache/apt/archives/", "tmp/")
WRITABLE = {
    "collector": {"/var/lib/otel/telemetry", "/var/lib/otel/queues"},
    "backend-flask": {"/tmp", "/var/lib/cruddur"},  # noqa: S108
    "profiles-flask": {"/tmp"},  # noqa: S108
    "emulators": {"/tmp"},  # noqa: S108
    PAGE: {"/tmp"},  # noqa: S108
}
"""What a container may write to, besides what the kernel mounts under /dev and /proc."""

DOCKERFILES = {
    "backend-flask": "services/Dockerfile",
    "profiles-flask": "services/Dockerfile",
    "emulators": "emulators/Dockerfile",
    "collector": "collector/Dockerfile",
    PAGE: "services/frontend/Dockerfile",
}
OWN_FILES = {
    "backend-flask": b"cruddur",
    "profiles-flask": b"profiles",
    "emulators": b"honeycomb",
    "collector": b"memory_limiter",
    PAGE: b"Content-Security-Policy",
}
"""By image, a word that is in a file of its: whoever does not find it does not look."""

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
        label = f"label=com.docker.compose.project={checkout.project}"
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


@dataclass(frozen=True)
class Keyed:
    """Images by name, made where `keys` were in `.env` and in the environment; `logs` of that."""

    images: dict[str, str]
    keys: dict[str, str]
    logs: str


@pytest.fixture(scope="module")
def keyed(
    containers: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Keyed]:
    del containers  # they keep the engine
    keys = fresh_keys()
    names = [name for name in DOCKERFILES if name != PAGE or can_serve_page(ROOT)]
    checkout = Checkout(tmp_path_factory.mktemp("keyed"), page=can_serve_page(ROOT))
    checkout.settings |= keys | {
        "RUNTIME": "docker",
        "GRAFANA_CLOUD_ENDPOINT": "http://127.0.0.1:1/otlp",
        "GRAFANA_CLOUD_INSTANCE_ID": INSTANCE,
    }
    lines = [f"{name}={value}\n" for name, value in checkout.settings.items()]
    (checkout.folder / ENV_FILE).write_text("".join(lines))
    for dockerfile in DOCKERFILES.values():
        # Else the engine holds the images already.
        with (checkout.folder / dockerfile).open("a") as file:
            file.write(f"# {word(12)}\n")
    with pytest.MonkeyPatch.context() as environment:
        for name, key in keys.items():
            environment.setenv(name, key)
        plan = make_plan(load_settings(checkout.folder), checkout.folder, "docker")
        images = ensure_images(plan, names)
    logs = [path.read_text() for path in (checkout.run_dir / "logs").glob("build-*.log")]
    yield Keyed(images, keys, "\n".join(logs))
    for reference in images.values():
        _docker("image", "rm", reference)
    checkout.close()


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


def test_it_leaves_no_core_file(container: dict[str, Any]) -> None:
    """It would hold the environment, and so the keys."""
    limits = Path(f"/proc/{container['State']['Pid']}/limits").read_text()

    assert re.findall(r"^Max core file size +(\S+) +(\S+)", limits, re.MULTILINE) == [("0", "0")]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_no_image_holds_a_key_of_whoever_made_it(keyed: Keyed, name: str, tmp_path: Path) -> None:
    if name not in keyed.images:
        pytest.skip("no Node to build the page with")
    reference = keyed.images[name]
    archive = tmp_path / "image.tar"
    _docker("save", f"--output={archive}", reference)

    told = _docker("history", "--no-trunc", reference) + _docker("image", "inspect", reference)
    assert keys_in(told, keyed.keys) == []
    found_own = False
    with tarfile.open(archive) as image:
        for member in filter(tarfile.TarInfo.isreg, image):
            blob = image.extractfile(member)
            assert blob is not None
            content = blob.read()
            if content.startswith(b"\x1f\x8b"):
                content = gzip.decompress(content)
            found_own = found_own or OWN_FILES[name] in content
            held = [key for key, value in keyed.keys.items() if value.encode() in content]
            assert held == [], member.name
    assert found_own


def test_no_log_of_a_build_holds_a_key(keyed: Keyed) -> None:
    assert keyed.logs
    assert keys_in(keyed.logs, keyed.keys) == []


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
        "etc/otelcol/otel-config.yaml",
        "etc/otelcol/redaction.yaml",
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
