"""Base images where no registry answers, by the names that settings have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stack.errors import StackError
from stack.images import default_argument
from stack.settings import ROOT, own_names
from tools.test_machine import base_images, debian

Client = Callable[..., Path]

PUBLIC = default_argument(ROOT / "services/Dockerfile", "PYTHON_IMAGE")
NOT_HERE = 'echo "No such image" >&2; exit 1'
REFUSED = 'echo "lookup registry: no such host" >&2; exit 1'


def inspect(reference: str) -> str:
    return f"image inspect --format {{{{.Id}}}} {reference}"


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in base_images.NAMES:
        monkeypatch.delenv(name, raising=False)


def test_where_a_registry_answers_nothing_is_made(docker_client: Client) -> None:
    docker_client({inspect(base_images.PYTHON): NOT_HERE, inspect(PUBLIC): "echo sha256:1"})

    assert base_images.ensure_base_images() == {}


def test_what_the_environment_names_is_not_asked_for(
    docker_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = docker_client({})
    for name in base_images.NAMES:
        monkeypatch.setenv(name, "mine:1")

    assert base_images.ensure_base_images() == {}
    assert asked.read_text() == ""


def test_once_made_they_are_named_and_no_registry_is_asked(docker_client: Client) -> None:
    asked = docker_client({inspect(base_images.PYTHON): "echo sha256:3", "build": "true"})

    named = base_images.ensure_base_images()

    assert {*named} <= own_names()
    assert named["PYTHON_IMAGE"] == base_images.PYTHON
    assert named["GO_IMAGE"].startswith("otel-stack/go-base:")
    assert named["NODE_IMAGE"].startswith("otel-stack/node-base:")
    assert "pull" not in asked.read_text()


def test_neither_registry_nor_packages_is_one_line(
    docker_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_client({"image inspect": NOT_HERE, "pull": REFUSED})
    monkeypatch.setattr(debian, "can_install", lambda: False)
    monkeypatch.setattr(base_images, "which", lambda _name: None)

    with pytest.raises(StackError) as refused:
        base_images.ensure_base_images()

    assert f"{PUBLIC} cannot be pulled (lookup registry: no such host)" in str(refused.value)
    assert "set PYTHON_IMAGE" in str(refused.value)
    assert "\n" not in str(refused.value)
