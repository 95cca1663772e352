"""Debian packages: from where, which ones, and the machine's own sources stay as they are."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from stack.errors import StackError
from tools.test_machine import debian

TARGETS = (
    "http://packages.example/vendor bookworm\n"
    "http://deb.example/debian-security/ bookworm-security\n"
    "http://mirror.example/debian/ bookworm\n"
)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`programs(name="shell text")`: what each was asked is in the file that is returned."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.defpath}")
    monkeypatch.setattr(
        platform,
        "freedesktop_os_release",
        lambda: {"ID": "debian", "VERSION_CODENAME": "bookworm"},
    )

    def install(**scripts: str) -> Path:
        asked = tmp_path / "asked"
        asked.touch()
        for name, text in scripts.items():
            program = tmp_path / name.replace("_", "-")
            program.write_text(f'#!/bin/sh\necho "{program.name} $*" >>{asked}\n{text}\n')
            program.chmod(0o755)
        return asked

    return install


def test_the_mirror_is_the_machines_own(programs: Callable[..., Path]) -> None:
    programs(apt_get=f'printf "{TARGETS}"')

    assert debian.mirror() == "http://mirror.example/debian"


def test_without_one_there_is_a_line_that_says_so(programs: Callable[..., Path]) -> None:
    programs(apt_get="exit 1")

    with pytest.raises(StackError, match="name no Debian mirror"):
        debian.mirror()


def test_what_is_installed_already_is_not_asked_for(programs: Callable[..., Path]) -> None:
    asked = programs(dpkg_query='printf "ii "', apt_get="exit 1")

    debian.install(["docker.io", "iptables"])

    assert "apt-get" not in asked.read_text()


def test_packages_are_fetched_before_dpkg_is_let_loose(programs: Callable[..., Path]) -> None:
    asked = programs(dpkg_query="exit 1", apt_get="true")

    debian.install(["docker.io"])

    steps = [line for line in asked.read_text().splitlines() if line.startswith("apt-get")]
    assert steps[0].endswith("update")
    assert steps[1].endswith("install --download-only docker.io")
    assert steps[2].endswith("install docker.io")
    assert all("--no-install-recommends" in line for line in steps)


def test_a_source_out_of_reach_is_no_reason_to_stop(programs: Callable[..., Path]) -> None:
    programs(dpkg_query="exit 1", apt_get='case "$*" in *update) exit 100;; esac')

    debian.install(["docker.io"])


def test_packages_that_cannot_be_had_are_named(programs: Callable[..., Path]) -> None:
    programs(
        dpkg_query="exit 1",
        apt_get='case "$*" in *update) ;; *) echo "E: Unable to locate" >&2; exit 100;; esac',
    )

    with pytest.raises(StackError) as failed:
        debian.install(["docker.io", "iptables"])

    assert "the packages docker.io, iptables could not be installed" in failed.value.what
    assert "E: Unable to locate" in failed.value.what


def test_a_package_of_another_release_touches_nothing_of_the_machines(
    programs: Callable[..., Path], tmp_path: Path
) -> None:
    asked = programs(
        apt_get=f'case "$*" in *indextargets*) printf "{TARGETS}";;'
        " *download*) touch compose.deb;; esac",
        dpkg="true",
    )

    debian.fetch(["docker-compose"], "trixie", tmp_path / "out")

    lines = asked.read_text().splitlines()
    fetching = [line for line in lines if line.endswith(("update", "download docker-compose"))]
    assert len(fetching) == 2
    for line in fetching:
        for place in ("Dir::Etc::sourcelist", "Dir::State", "Dir::State::status", "Dir::Cache"):
            assert f"{place}=/" in line
        assert "Dir::Etc::sourceparts=-" in line
    assert lines[-1].startswith("dpkg -x")
    assert lines[-1].endswith(str(tmp_path / "out"))


def test_another_system_is_not_ours_to_install_on(
    programs: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(apt_get="true")
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "ubuntu"})

    assert not debian.is_debian()
