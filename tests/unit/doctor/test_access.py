"""What is shown in order to send: good, ending soon, renewed since the start."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from stack.certificates import make as make_certificates
from stack.doctor.access import check_senders
from stack.engine import Engine
from stack.plan import make_plan
from stack.runtimes import docker
from stack.settings import ROOT
from tests.unit.doctor.playing import only, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stack.doctor.setup import Setup


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make_certificates(folder / "server", folder / "client", ("127.0.0.1", "collector"))
    return folder


@pytest.fixture
def in_containers(
    make: Callable[..., Setup], made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Setup:
    """A stack that is up in containers, which have what `make up` gave them."""
    folder = tmp_path / "access"
    shutil.copytree(made, folder)
    setup = make(
        otlp_access=("mtls", "token"),
        otlp_server_secrets=folder / "server",
        otlp_client_secrets=folder / "client",
    )
    plan = make_plan(setup.settings, ROOT, "docker")
    monkeypatch.setattr(docker, "ensure_images", lambda *_: {})
    engine = Engine("unix:///var/run/docker.sock", "20.10.24", "2.26.1", "0.13.1")
    docker.prepare(plan, engine)
    return replace(setup, plan=plan)


def test_what_the_containers_have_is_what_is_there(in_containers: Setup) -> None:
    assert only(check_senders(in_containers)).verdict == "ok"


def test_what_was_renewed_since_make_up_is_named_with_what_to_do(in_containers: Setup) -> None:
    # given certificates and a token that were made anew
    access = in_containers.plan.access
    make_certificates(access.server, access.client, ("127.0.0.1", "collector"))
    # when
    found = text(check_senders(in_containers))
    # then
    assert "the containers still have what " in found
    for file in (*access.server_files.values(), *access.client_files.values()):
        assert str(file) in found
    assert "`make up` hands out what is there now" in found


def test_processes_of_this_machine_read_the_files_themselves(in_containers: Setup) -> None:
    # given the same without containers
    access = in_containers.plan.access
    make_certificates(access.server, access.client, ("127.0.0.1", "collector"))
    native = replace(in_containers, plan=make_plan(in_containers.settings, ROOT, "native"))
    # then
    assert only(check_senders(native)).verdict == "ok"


def test_the_copies_are_for_the_containers_user_alone(in_containers: Setup) -> None:
    folder = in_containers.plan.run_dir / "secrets"
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {file.stat().st_mode & 0o077 for file in files} == {0}
    expected = docker.UNPRIVILEGED if os.geteuid() == 0 else os.geteuid()
    assert {file.stat().st_uid for file in files} == {expected}
