"""One process of the native runtime, one service of the Docker one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stack.compose_file import COMPOSE_FILE
from stack.errors import StackError
from stack.python_env import PythonEnv


@dataclass(frozen=True)
class Process:
    """One process of the native runtime, one service of the Docker one.

    `ports`: port number on this machine, by the name of the setting that moves it.
    `targets`: where a container listens, by its port on this machine.
    `health`: answers 200 once the process serves; "" where nobody can ask it.
    `proof_path`: what it is asked for as a proof; "" where it is not.
    `error_path`: has it report an error on request; "" where nothing does.
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
    proof_path: str = ""
    error_path: str = ""

    @property
    def url(self) -> str:
        """Its first port, as this machine reaches it."""
        return f"http://127.0.0.1:{next(iter(self.ports.values()))}"

    @property
    def service_name(self) -> str:
        """What it is called in telemetry. Raises StackError where nobody gives it a name."""
        name = self.environment.get("OTEL_SERVICE_NAME")
        if not name:
            raise StackError(
                f"{self.name} has no name in its telemetry: neither its entry in {COMPOSE_FILE} "
                f"nor {self.cwd}/otel.env sets OTEL_SERVICE_NAME",
                "write OTEL_SERVICE_NAME=… there, with the name that people are to see",
            )
        return name
