"""One process of the native runtime, one service of the Docker one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stack.python_env import PythonEnv


@dataclass(frozen=True)
class Process:
    """One process of the native runtime, one service of the Docker one.

    `ports`: port number on this machine, by the name of the setting that moves it.
    `targets`: where a container listens, by its port on this machine.
    `health`: answers 200 once the process serves.
    `added`: the part of `environment` that is not in the compose file.
    """

    name: str
    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str] = field(repr=False)  # keys are among them
    ports: Mapping[str, int]
    health: str
    start_order: int
    depends_on: tuple[str, ...] = ()
    python: PythonEnv | None = None
    targets: Mapping[int, int] = field(default_factory=dict)
    added: Mapping[str, str] = field(default_factory=dict, repr=False)
