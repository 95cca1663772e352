"""The emulators' process, which plays each vendor that has no key."""

from __future__ import annotations

from dataclasses import asdict

from stack.python_env import PythonEnv
from stack.services.model import Plan
from stack.services.process import Process
from stack.vendors import emulator_settings


def emulators(plan: Plan) -> Process:
    played = emulator_settings(plan.settings)
    python = PythonEnv(
        plan.root / ".run/emulators-venv",
        plan.root / "emulators/requirements.txt",
        "the emulators' packages",
    )
    return Process(
        name="emulators",
        argv=(str(python.bin / "python"), "-m", "emulators"),
        cwd=plan.root,
        environment={
            f"EMULATOR_{name.upper()}": str(value)
            for name, value in asdict(played).items()
            if value
        },
        ports={
            f"EMULATOR_{name.upper()}": value
            for name, value in asdict(played).items()
            if name.endswith("_port")
        },
        health=f"http://127.0.0.1:{played.control_port}/health",
        start_order=5,
        python=python,
    )
