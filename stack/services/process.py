"""One process of the native runtime, one service of the Docker one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stack.python_env import PythonEnv


@dataclass(frozen=True)
class Process:
    """One process of the native runtime, one service of the Docker one.

    `ports`: port number by the name of the setting that moves it.
    `health`: answers 200 once the process serves.
    """

    name: str
    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str] = field(repr=False)  # keys are among them
    ports: Mapping[str, int]
    health: str
    start_order: int
    python: PythonEnv | None = None
