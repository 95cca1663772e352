"""A plan whose processes follow their sources."""

from __future__ import annotations

import os
from dataclasses import replace

from stack.page_build import SOURCES
from stack.services import PAGE, Plan, Process

VITE = "node_modules/vite/bin/vite.js"


def for_development(plan: Plan) -> Plan:
    """`plan` with reloading workers, and Vite in place of the page's server."""
    return replace(plan, processes=tuple(_follows(plan, process) for process in plan.processes))


def _follows(plan: Plan, process: Process) -> Process:
    if process in plan.instrumented:
        return replace(process, environment={**process.environment, "RELOAD": "true"})
    if process.name != PAGE:
        return process
    return replace(
        process,
        argv=("node", VITE),
        cwd=plan.root / SOURCES,
        environment={
            **process.environment,
            **{name: str(port) for name, port in process.ports.items()},
            # Node may be anywhere on the caller's path.
            "PATH": os.environ.get("PATH", os.defpath),
        },
        health=f"http://127.0.0.1:{process.ports['FRONTEND_PORT']}/config.js",
        python=None,
    )
