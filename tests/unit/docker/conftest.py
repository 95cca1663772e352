"""A docker client that answers as told, so that no engine is needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest


@pytest.fixture
def docker_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`docker_client({"info": "echo {}"})`: shell text by how the client's arguments begin.

    What it was asked is in the file that is returned, a line a call. Anything else fails.
    """

    def install(answers: Mapping[str, str]) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        asked = tmp_path / "asked"
        asked.touch()
        cases = "".join(f"  '{words}'*) {text} ;;\n" for words, text in answers.items())
        client = folder / "docker"
        client.write_text(
            f'#!/bin/sh\necho "$*" >>{asked}\ncase "$*" in\n{cases}'
            '  *) echo "not expected: $*" >&2; exit 1 ;;\nesac\n'
        )
        client.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.defpath}")
        return asked

    return install


@pytest.fixture(autouse=True)
def _no_choice_of_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
