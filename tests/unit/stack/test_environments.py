"""Python environments follow the checkout that they stand in."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

import pytest

from stack import disk
from stack.errors import StackError
from stack.packages import pip_settings, uv_environment
from stack.program import ProgramError, run
from stack.python_env import PythonEnv, ensure_env
from stack.settings import ROOT

SECONDS = 300
TARGET = ".venv/stack"


def wheel(folder: Path, name: str, program: str) -> str:
    """A wheel in `folder` that installs the shell script `program` as `name`, and a module of that
    name; returns what a lock says of it.
    """
    folder.mkdir(exist_ok=True)
    about = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "",
        f"{name}-1.0.data/scripts/{name}": f"#!/bin/sh\n{program}\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{file},,\n" for file in (*files, f"{about}/RECORD"))
    file = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for member, content in files.items():
            info = zipfile.ZipInfo(member)
            info.external_attr = (0o100755 if "/scripts/" in member else 0o100644) << 16
            archive.writestr(info, content)
    return f"{name}==1.0 \\\n    --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip, and who follows its settings, may look: nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    return folder


@pytest.fixture
def checkout(tmp_path: Path, index: Path) -> Path:
    """A folder with the Makefile, a lock that asks for pip and uv, and an environment with both.

    Neither is real: `make` only looks whether they are there, and uv's program writes down what it
    was called with.
    """
    folder = tmp_path / "check out"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "stack").symlink_to(ROOT / "stack")
    (folder / "requirements.txt").write_text(
        wheel(index, "pip", "exit 1") + "another==1.0\n" + wheel(index, "uv", 'echo "$*" >> calls')
    )
    environment = folder / ".venv"
    venv.create(environment, symlinks=True)
    packages = next(environment.glob("lib/*/site-packages"))
    (packages / "pip").mkdir()
    (packages / "pip/__init__.py").touch()
    (packages / "uv.py").touch()
    for name in ("pip", "uv"):
        (environment / "bin" / name).touch(mode=0o755)
    (folder / TARGET).touch()
    return folder


def _make(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    words = ["make", f"--directory={folder}", f"PYTHON={sys.executable}", *options, TARGET]
    # Without the options of the `make test` that may be running this.
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    return subprocess.run(
        words, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )


def _is_right(folder: Path) -> bool:
    """Whether `make` would leave the environment as it is."""
    return _make(folder, "--question").returncode == 0


def _says(program: Path) -> str:
    try:
        return run([str(program)], seconds=SECONDS).strip()
    except ProgramError as failed:
        return failed.reason


def test_a_checkout_that_was_renamed_gets_its_environment_anew(checkout: Path) -> None:
    # given
    assert _is_right(checkout)
    renamed = checkout.rename(checkout.with_name("renamed"))
    # when
    made = _make(renamed)
    # then
    assert made.returncode == 0, made.stderr
    assert (
        (renamed / "calls")
        .read_text()
        .startswith(f"pip install --quiet --python={renamed / '.venv'} --require-hashes ")
    )
    assert _is_right(renamed)


def test_a_copy_does_not_live_on_the_first_ones_environment(checkout: Path) -> None:
    # when
    copy = shutil.copytree(checkout, checkout.with_name("copy"), symlinks=True)
    # then
    assert not _is_right(copy)
    assert _is_right(checkout)


def test_an_environment_without_its_python_is_made_anew(checkout: Path) -> None:
    # given: as after a system's upgrade
    python = checkout / ".venv/bin/python"
    python.unlink()
    # when
    python.symlink_to(checkout / "gone")
    # then
    assert not _is_right(checkout)


def test_an_environment_of_another_python_is_made_anew(checkout: Path) -> None:
    # given: the same path is a newer Python by now, which looks for its packages elsewhere
    packages = next(checkout.glob(".venv/lib/python*"))
    # when
    packages.rename(packages.with_name("python3.1"))
    # then
    assert not _is_right(checkout)


def test_packages_that_cannot_be_had_are_one_line_with_what_to_do(checkout: Path) -> None:
    # when: what is there in pip's place installs nothing
    ended = _make(checkout, "--always-make")
    # then
    assert ended.returncode != 0
    assert "requirements.txt could not be installed. Check that" in ended.stderr


def test_an_environment_that_clones_share_is_left_alone(checkout: Path) -> None:
    # when
    clone = checkout.with_name("clone")
    clone.mkdir()
    for name in ("Makefile", "requirements.txt", ".venv"):
        (clone / name).symlink_to(checkout / name)
    # then
    assert _is_right(clone)


def test_packages_that_uv_cannot_install_are_one_line(checkout: Path) -> None:
    # given: a pip that did what it was asked for
    (next(checkout.glob(".venv/lib/*/site-packages/pip")) / "__main__.py").touch()
    uv = checkout / ".venv/bin/uv"
    uv.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{UNREACHABLE}\nEND\nexit 2\n")
    uv.chmod(0o755)
    # when
    ended = _make(checkout, "--always-make")
    # then
    assert _last_line(ended) == (
        "error: the packages of requirements.txt could not be installed: Failed to fetch: "
        "https://packages.example/simple/flask/: Connection refused (os error 111); check that "
        "Python's package index can be reached, then try again"
    )


def test_the_services_environment_follows_a_renamed_folder(tmp_path: Path, index: Path) -> None:
    # given: a run folder on another disk, behind a link
    lock = tmp_path / "requirements.txt"
    lock.write_text(wheel(index, "greet", "echo hello"))
    disk, link = tmp_path / "disk", tmp_path / "run"
    disk.mkdir()
    link.symlink_to(disk)
    env = PythonEnv(link / "services-venv", lock, "the services' packages")
    ensure_env(env)
    made = (env.folder / "pyvenv.cfg").stat().st_mtime_ns
    ensure_env(env)
    assert (env.folder / "pyvenv.cfg").stat().st_mtime_ns == made
    # when
    renamed = disk.rename(tmp_path / "renamed")
    env = PythonEnv(renamed / "services-venv", lock, "the services' packages")
    ensure_env(env)
    # then
    assert (env.folder / "pyvenv.cfg").stat().st_mtime_ns != made
    assert _says(env.bin / "greet") == "hello"


def test_a_package_that_is_not_the_locked_one_is_not_installed(tmp_path: Path, index: Path) -> None:
    # given
    lock = tmp_path / "requirements.txt"
    lock.write_text(wheel(index, "greet", "echo hello"))
    wheel(index, "greet", "echo another")
    env = PythonEnv(tmp_path / "services-venv", lock, "the services' packages")
    # when
    with pytest.raises(StackError) as told:
        ensure_env(env)
    # then
    assert str(told.value) == (
        "the services' packages could not be installed: Failed to download "
        "`greet==1.0`: Hash mismatch for `greet==1.0`; the index has another file than the one "
        "that was locked: ask whoever runs it"
    )
    assert not env.folder.exists()


def _last_line(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode != 0
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("make")]
    assert len([line for line in lines if line.startswith("error:")]) == 1, ended.stderr
    return lines[-1]


NOBODY = 65534
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has two users")


@only_root
def test_another_users_environment_is_never_removed(checkout: Path) -> None:
    # given: one that does not run for this user; to root no folder is closed
    (checkout / ".venv/bin/python").unlink()
    os.chown(checkout / ".venv", NOBODY, NOBODY)
    before = sorted(checkout.rglob("*"))
    # when
    ended = _make(checkout)
    # then
    owner = (checkout / ".venv").owner()
    assert _last_line(ended) == (
        f"error: .venv belongs to {owner} and cannot be used by root as it is. Run make as its "
        "owner, or in a clone of your own."
    )
    assert sorted(checkout.rglob("*")) == before


@only_root
def test_a_user_whose_python_is_not_the_owners_is_told_in_one_line() -> None:
    """As on a machine where one user's Python is in a home that others may not enter."""
    # given: a clone that this user may write to, and an environment whose Python he cannot run
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        folder.chmod(0o777)
        shutil.copy(ROOT / "Makefile", folder)
        (folder / "requirements.txt").touch()
        (folder / ".venv/bin").mkdir(parents=True)
        (folder / ".venv/stack").touch()
        (folder / ".venv/bin/python").touch(mode=0o700)
        # when
        ended = subprocess.run(
            ["make", "status"], cwd=folder, user=NOBODY, group=NOBODY, extra_groups=[],
            env={"PATH": os.defpath}, capture_output=True, text=True, check=False, timeout=SECONDS,
        )  # fmt: skip
        # then
        assert _last_line(ended).startswith("error: .venv belongs to root and cannot be used by ")
        assert (folder / ".venv/bin/python").exists()


def test_a_full_disk_is_told_as_one(checkout: Path) -> None:
    # given: what pip says then
    pip = next(checkout.glob(".venv/lib/*/site-packages/pip"))
    said = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
    (pip / "__main__.py").write_text(f"import sys; sys.exit({said!r})\n")
    # when
    ended = _make(checkout, "--always-make")
    # then
    assert said in ended.stderr
    assert _last_line(ended).startswith("error: the disk is full (")
    assert "index" not in ended.stderr


def test_what_a_first_start_needs_is_said_before_it_begins(checkout: Path) -> None:
    # given
    shutil.rmtree(checkout / ".venv")
    # when
    ended = _make(checkout, "ROOM=999999999")
    # then
    said = _last_line(ended)
    assert said.startswith("error: a first `make up` needs 999999999 MB on this disk, and ")
    assert not (checkout / ".venv").exists()
    assert "installing" not in ended.stdout


@only_root
def test_another_users_services_environment_is_never_removed(tmp_path: Path) -> None:
    # given: made from another lock
    lock = tmp_path / "requirements.txt"
    lock.write_text("")
    env = PythonEnv(tmp_path / "services-venv", lock, "the services' packages")
    env.folder.mkdir()
    (env.folder / "kept").touch()
    os.chown(env.folder, NOBODY, NOBODY)
    # when
    with pytest.raises(StackError) as told:
        ensure_env(env)
    # then
    assert str(told.value).startswith(f"{env.folder} belongs to {env.folder.owner()}, and is not ")
    assert (env.folder / "kept").exists()


FAILED = "the services' packages could not be installed"

UNREACHABLE = """\
error: Failed to fetch: https://packages.example/simple/flask/
  cause: client error (Connect)
  cause: Connection refused (os error 111)"""

FULL = """\
error: Failed to install: flask-3.1.1-py3-none-any.whl (flask==3.1.1)
  cause: failed to copy file: No space left on device (os error 28)"""

CLOSED = """\
error: Failed to create the cache `/home/me/.cache/uv`
  cause: Permission denied (os error 13)"""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (FULL, f"the disk is full: {FAILED} (cause: failed to copy file: No space left on device"),
        ("error: Disk quota exceeded (os error 122)", f"the disk is full: {FAILED} (error: Disk"),
        (
            UNREACHABLE,
            (
                f"{FAILED}: Failed to fetch: https://packages.example/simple/flask/: Connection "
                "refused (os error 111); check that Python's package index can be reached, then "
                "try again"
            ),
        ),
        (
            CLOSED,
            (
                f"{FAILED}: Failed to create the cache `/home/me/.cache/uv`: Permission denied (os "
                "error 13); run make as the owner of that file, or in a clone of your own"
            ),
        ),
    ],
    ids=["full disk", "quota", "no index", "no permission"],
)
def test_packages_that_cannot_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, told: str
) -> None:
    # given
    lock = tmp_path / "requirements.txt"
    lock.write_text("")
    python, uv = tmp_path / "python", tmp_path / "uv"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    uv.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{said}\nEND\nexit 1\n")
    for program in (python, uv):
        program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    env = PythonEnv(tmp_path / "services-venv", lock, "the services' packages")
    # when
    with pytest.raises(StackError) as failed:
        ensure_env(env)
    # then
    assert str(failed.value).startswith(told)
    assert "\n" not in str(failed.value)
    assert ("index" in str(failed.value)) == (said == UNREACHABLE)
    assert not env.folder.exists()


def test_uv_looks_where_pip_would(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # given
    for name in ("UV_HTTP_RETRIES", "UV_HTTP_TIMEOUT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://me:secret@packages.example/simple\nproxy = http://proxy:3128\n"
        f"[install]\nfind-links =\n  {tmp_path}\n  /nowhere\n  https://wheels.example/\n"
        "retries = 9\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_FIND_LINKS", f"{tmp_path} /nowhere https://wheels.example/")
    monkeypatch.setenv(
        "PIP_EXTRA_INDEX_URL", "https://one.example/simple https://two.example/simple"
    )
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "180")
    monkeypatch.setenv("PIP_CERT", "/etc/company.pem")
    monkeypatch.setenv("UV_HTTP_RETRIES", "2")
    # when
    found = uv_environment(pip_settings())
    # then
    assert found == {
        "UV_DEFAULT_INDEX": "https://me:secret@packages.example/simple",
        "UV_INDEX": "https://one.example/simple https://two.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": f"{tmp_path},https://wheels.example/",
        "UV_HTTP_TIMEOUT": "180",
        "HTTP_PROXY": "http://proxy:3128",
        "HTTPS_PROXY": "http://proxy:3128",
        "SSL_CERT_FILE": "/etc/company.pem",
        "UV_SYSTEM_CERTS": "true",
    }


def test_room_that_is_missing_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setattr(disk, "free_megabytes", lambda _folder: 399)
    lock = tmp_path / "requirements.txt"
    lock.write_text("")
    env = PythonEnv(tmp_path / "run/services-venv", lock, "the services' packages")
    # when
    with pytest.raises(StackError) as told:
        ensure_env(env)
    # then
    assert str(told.value) == (
        f"the services' packages need 400 MB in {tmp_path / 'run'}, and 399 MB are free; make room "
        "there"
    )
    assert not env.folder.exists()
