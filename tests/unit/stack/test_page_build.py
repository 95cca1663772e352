"""The page's build where there is no Node."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from stack import images, page_build
from stack.errors import StackError
from stack.page_build import NoNodeError, build_without_node, can_serve_page

if TYPE_CHECKING:
    from pathlib import Path


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
