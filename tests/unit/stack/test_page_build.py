"""The page's build where there is no Node."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from stack import images, page_build
from stack.commands import up
from stack.errors import StackError
from stack.page_build import SOURCES, NoNodeError, build_without_node, can_serve_page
from stack.program import ProgramError
from stack.services import Plan
from stack.settings import ROOT


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project on a machine with an engine and without Node."""
    sources = tmp_path / "services/frontend"
    sources.mkdir(parents=True)
    (sources / "index.html").write_text("the page")
    (tmp_path / ".run").mkdir()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(page_build, "find_engine", object)
    return tmp_path


def test_an_engine_builds_it_once_and_again_after_a_change(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    asked: list[str | None] = []

    def build(root: Path, folder: Path, node_image: str | None) -> None:
        asked.append(node_image)
        folder.mkdir()
        (folder / "index.html").write_text((root / "services/frontend/index.html").read_text())

    monkeypatch.setattr(images, "build_page", build)
    assert not can_serve_page(root)
    # when
    build_without_node(root, "node:mine")
    # then
    assert asked == ["node:mine"]
    assert can_serve_page(root)
    assert (root / ".run/page/index.html").read_text() == "the page"
    # when
    (root / "services/frontend/index.html").write_text("another page")
    # then
    assert not can_serve_page(root)
    build_without_node(root)
    assert (root / ".run/page/index.html").read_text() == "another page"


def test_an_image_that_cannot_be_had_is_named_with_what_to_do(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*_: object) -> None:
        raise StackError("no image with Node: node:24 cannot be pulled", "set NODE_IMAGE")

    monkeypatch.setattr(images, "build_page", build)
    with pytest.raises(NoNodeError, match="there is no Node, and no image with Node") as refused:
        build_without_node(root)
    assert refused.value.todo == "set NODE_IMAGE"
    assert not can_serve_page(root)


def test_neither_node_nor_an_engine(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_build, "find_engine", lambda: None)
    with pytest.raises(NoNodeError, match="neither Node nor a Docker engine"):
        build_without_node(root)


def test_the_container_hands_out_the_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's last stage is its server: it asks for files that are not built yet."""
    # given
    commands: list[Sequence[str]] = []

    def note(command: Sequence[str], **_: object) -> str:
        commands.append(command)
        return ""

    monkeypatch.setattr(images, "have", lambda *_: "sha256:1")
    monkeypatch.setattr(images, "run", note)
    dockerfile = ROOT / SOURCES / "Dockerfile"
    stages = re.split("^(?=FROM )", dockerfile.read_text(), flags=re.MULTILINE)
    # when
    images.build_page(ROOT, tmp_path / "page", "node:mine")
    # then
    [command] = [one for one in commands if one[0] == "docker"]
    [target] = [word.removeprefix("--target=") for word in command if word.startswith("--target=")]
    assert f"--output=type=local,dest={tmp_path / 'page'}" in command
    assert "--build-arg=NODE_IMAGE=node:mine" in command
    assert command[-1] == str(ROOT / SOURCES)
    # and of that stage nothing but what Vite wrote comes out
    [stage] = [
        stage for stage in stages if re.match(rf"FROM \S+ AS {target}$", stage, re.MULTILINE)
    ]
    written = re.search(r"PAGE_DIR=(\S+) node \S+/vite\.js build", dockerfile.read_text())
    assert written is not None
    assert stage.split() == f"FROM scratch AS {target} COPY --from=build {written[1]} /".split()


def test_a_build_that_fails_in_the_container_is_told_in_one_line(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(command: Sequence[str], **_: object) -> None:
        lines = "#12 3.4 vite v8\n#12 4.1 error: src/app.tsx has no end\n#12 4.2 npm notice"
        raise ProgramError(command, "ended with 1", lines)

    dockerfile = root / SOURCES / "Dockerfile"
    dockerfile.write_text("ARG NODE_IMAGE=node:any\n")
    monkeypatch.setattr(images, "have", lambda *_: "sha256:1")
    monkeypatch.setattr(images, "run", fail)
    with pytest.raises(NoNodeError, match=r"built: error: src/app\.tsx has no end;") as refused:
        build_without_node(root)
    assert "\n" not in refused.value.what
    assert str(root / ".run/logs/build-page.log") in refused.value.todo


def plan(root: Path, page: str) -> Plan:
    """Of `make up`, with PAGE and NODE_IMAGE set."""
    settings = SimpleNamespace(sample_app="on", page=page, node_image="node:mine")
    return cast("Plan", SimpleNamespace(root=root, settings=settings))


def test_up_builds_it_with_the_image_that_the_user_chose(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Path, str | None]] = []
    monkeypatch.setattr(up, "build_without_node", lambda *words: asked.append(words))

    assert up._build_page_without_node(plan(root, "auto"))
    assert asked == [(root, "node:mine")]


def test_up_builds_no_page_that_is_switched_off(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(up, "build_without_node", lambda *_: pytest.fail("it was built"))

    assert not up._build_page_without_node(plan(root, "off"))


def test_up_goes_on_without_a_page_that_nobody_asked_for(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_build, "find_engine", lambda: None)

    assert not up._build_page_without_node(plan(root, "auto"))
    with pytest.raises(NoNodeError):
        up._build_page_without_node(plan(root, "on"))
