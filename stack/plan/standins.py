"""The stand-ins' process, which plays each vendor that has no key."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from stack.plan.process import Process
from stack.python_env import PythonEnv
from stack.vendors import standin_settings

if TYPE_CHECKING:
    from stack.plan.model import Plan


def standins(plan: Plan) -> Process:
    played = standin_settings(plan.settings)
    python = PythonEnv(
        plan.root / ".run/standins-venv",
        plan.root / "standins/requirements.txt",
        "the stand-ins' packages",
    )
    return Process(
        name="standins",
        argv=(str(python.bin / "python"), "-m", "standins"),
        cwd=plan.root,
        environment={
            f"STANDIN_{name.upper()}": str(value) for name, value in asdict(played).items() if value
        },
        ports={
            f"STANDIN_{name.upper()}": value
            for name, value in asdict(played).items()
            if name.endswith("_port")
        },
        health=f"http://127.0.0.1:{played.control_port}/health",
        start_order=5,
        python=python,
    )
