"""The emulators' process, which plays each vendor that has no key."""

from __future__ import annotations

from stack.python_env import PythonEnv
from stack.services.model import Plan
from stack.services.process import Process


def emulators(plan: Plan) -> Process:
    variables = plan.settings.emulator_variables
    python = PythonEnv(
        plan.root / ".run/emulators-venv",
        plan.root / "emulators/requirements.txt",
        "the emulators' packages",
    )
    return Process(
        name="emulators",
        argv=(str(python.bin / "python"), "-m", "emulators"),
        cwd=plan.root,
        environment=variables,
        ports={name: int(port) for name, port in variables.items() if name.endswith("_PORT")},
        health=f"http://127.0.0.1:{plan.settings.emulator_control_port}/health",
        start_order=5,
        python=python,
    )
