"""What is to run: settings turned into processes, variables, ports and health checks."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from stack.errors import StackError
from stack.services.collector import INSIDE_THE_CONTAINER, collector
from stack.services.emulators import emulators
from stack.services.model import BACKEND, COLLECTOR_HOSTS, EMULATOR_HOSTS, FLASK, PAGE, Plan
from stack.services.page import has_page, page
from stack.services.process import Process
from stack.services.services import backend, otel_env, profiles
from stack.settings import Settings
from stack.vendors import vendors

__all__ = [
    "BACKEND",
    "COLLECTOR_HOSTS",
    "FLASK",
    "INSIDE_THE_CONTAINER",
    "PAGE",
    "Plan",
    "Process",
    "has_page",
    "make_plan",
    "otel_env",
    "plan_to_stop",
    "project_of",
    "service_version",
]


def make_plan(settings: Settings, root: Path, runtime: str) -> Plan:
    """The plan for `runtime`, `native` or `docker`. Reads the services' otel.env; writes nothing.

    Raises StackError when two settings name the same port.
    """
    empty = plan_to_stop(settings, root, runtime)
    version = service_version(root)
    shared = {
        **settings.collector,
        "BACKEND_PORT": str(settings.backend_port),
        "PROFILES_PORT": str(settings.profiles_port),
        "FRONTEND_PORT": str(settings.frontend_port),
        "WEB_CONCURRENCY": str(settings.web_concurrency),
        # The routes that raise errors on purpose are for people who try the stack out.
        "DEBUG_ROUTES": str(settings.deployment_environment == "local").lower(),
        "RELEASE": version,
        "DEPLOYMENT_ENVIRONMENT": settings.deployment_environment,
        "OTEL_RESOURCE_ATTRIBUTES": (
            f"service.version={version},deployment.environment={settings.deployment_environment}"
        ),
        **{name: str(folder) for name, folder in empty.folders.items()},
    }
    draft = replace(empty, environment=shared, vendors=vendors(settings, EMULATOR_HOSTS[runtime]))
    played = () if draft.control_url is None else (emulators(draft),)
    served = (page(draft),) if has_page(settings, root) else ()
    processes = (*played, collector(draft), profiles(draft), backend(draft), *served)
    _check_distinct([process.ports for process in processes])
    return replace(draft, processes=processes)


def plan_to_stop(settings: Settings, root: Path, runtime: str) -> Plan:
    """Which stack it is, without what is to run in it: stopping asks for no more."""
    run_dir = (root / settings.run_dir).resolve()
    return Plan(
        root=root,
        run_dir=run_dir,
        project=settings.project or project_of(root, run_dir),
        runtime=runtime,
        settings=settings,
        environment={},
        processes=(),
        vendors=(),
        folders={
            "TELEMETRY_DIR": run_dir / "telemetry",
            "QUEUE_DIR": run_dir / "queues",
            "DATA_DIR": run_dir / "data",
            "LOG_DIR": run_dir / "logs",
        },
    )


def project_of(root: Path, run_dir: Path) -> str:
    """What Compose calls the stack of a folder: another clone has another name, and so containers,
    networks and volumes of its own.
    """
    digest = hashlib.sha256(str(run_dir).encode()).hexdigest()[:8]
    folder = re.sub(r"[^a-z0-9]+", "-", root.name.lower())[:24].strip("-")
    return "-".join(dict.fromkeys(filter(None, ("otel-stack", folder, digest))))


def service_version(root: Path) -> str:
    """What git calls this checkout, `unknown` outside of one."""
    git = ["git", "-C", str(root), "describe", "--always", "--dirty", "--tags"]
    try:
        described = subprocess.run(git, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return described.stdout.strip()


def _check_distinct(groups: list[Mapping[str, int]]) -> None:
    holders: dict[int, str] = {}
    for group in groups:
        for name, port in group.items():
            if port in holders:
                raise StackError(
                    f"{holders[port]} and {name} are both {port}", "give one of them another port"
                )
            holders[port] = name
