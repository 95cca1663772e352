"""Python environments follow the checkout that they stand in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from typing import TYPE_CHECKING

import pytest

from stack.program import ProgramError, run
from stack.python_env import PythonEnv, ensure_env
from stack.settings import ROOT

if TYPE_CHECKING:
    from pathlib import Path

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
