"""Python environments follow the checkout that they stand in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import pytest

from stack import disk
from stack.errors import StackError
from stack.program import ProgramError, run
from stack.python_env import PythonEnv, ensure_env
from stack.settings import ROOT

SECONDS = 300
TARGET = ".venv/stack"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile, a lock that asks for nothing, and an environment that has it.

    No real pip in there: `make` only looks whether there is one.
    """
    folder = tmp_path / "check out"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "requirements.txt").write_text("")
    environment = folder / ".venv"
    venv.create(environment, symlinks=True)
    config = environment / "pyvenv.cfg"
    config.write_text(config.read_text().replace("-m venv --without-pip ", "-m venv "))
    packages = next(environment.glob("lib/*/site-packages"))
    (packages / "pip").mkdir()
    (packages / "pip/__init__.py").touch()
    (environment / "bin/pip").touch(mode=0o755)
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


def _pip_works(environment: Path) -> bool:
    """Whether a program of the environment starts by its own first line."""
    try:
        said = run([str(environment / "bin/pip"), "--version"], seconds=SECONDS)
    except ProgramError:
        return False
    return str(environment) in said


def test_a_checkout_that_was_renamed_gets_its_environment_anew(checkout: Path) -> None:
    # given
    assert _is_right(checkout)
    renamed = checkout.rename(checkout.with_name("renamed"))
    # when
    made = _make(renamed)
    # then
    assert made.returncode == 0, made.stderr
    assert _pip_works(renamed / ".venv")
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


def test_the_services_environment_follows_a_renamed_folder(tmp_path: Path) -> None:
    # given: a run folder on another disk, behind a link
    lock = tmp_path / "requirements.txt"
    lock.write_text("")
    disk, link = tmp_path / "disk", tmp_path / "run"
    disk.mkdir()
    link.symlink_to(disk)
    env = PythonEnv(link / "services-venv", lock, "the services' packages")
    ensure_env(env)
    made = (env.folder / "pyvenv.cfg").stat().st_ino
    ensure_env(env)
    assert (env.folder / "pyvenv.cfg").stat().st_ino == made
    # when
    renamed = disk.rename(tmp_path / "renamed")
    env = PythonEnv(renamed / "services-venv", lock, "the services' packages")
    ensure_env(env)
    # then
    assert _pip_works(env.folder)


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


@pytest.mark.parametrize(
    "said",
    [
        "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
        "OSError: [Errno 122] Disk quota exceeded",
    ],
)
def test_packages_for_which_there_is_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    # given
    lock = tmp_path / "requirements.txt"
    lock.write_text("")
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    env = PythonEnv(tmp_path / "services-venv", lock, "the services' packages")
    # when
    with pytest.raises(StackError) as told:
        ensure_env(env)
    # then
    assert "the disk is full: the services' packages could not be installed" in str(told.value)
    assert "index" not in str(told.value)


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
