"""What is to run: settings turned into processes, variables, ports and health checks."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from stack.compose_file import load_services, read_env_file
from stack.errors import StackError
from stack.page_build import can_serve_page
from stack.services.added import memory_limit
from stack.services.model import (
    BACKEND,
    COLLECTOR,
    COLLECTOR_HOSTS,
    EMULATOR_HOSTS,
    PAGE,
    Plan,
)
from stack.services.process import Process
from stack.services.processes import processes
from stack.settings import Settings, given_names
from stack.vendors import vendors

__all__ = [
    "BACKEND",
    "COLLECTOR",
    "COLLECTOR_HOSTS",
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
    """The plan for `runtime`, `native` or `docker`. Reads the compose file and the files of
    variables that it names; writes nothing.

    Raises StackError when two settings name the same port.
    """
    empty = plan_to_stop(settings, root, runtime)
    # `up` says that one cannot be known, not the command that needs it.
    for name in ("OTLP_HTTP_PORT", "COLLECTOR_HEALTH_PORT", "COLLECTOR_METRICS_PORT"):
        settings.port(name)
    draft = replace(empty, vendors=vendors(settings, EMULATOR_HOSTS[runtime]))
    draft = replace(draft, environment=_variables(draft))
    draft = replace(draft, without=tuple(_without(draft)))
    services = load_services(root, draft.without)
    planned = replace(draft, processes=processes(draft, services))
    _check_distinct([process.ports for process in planned.processes])
    return planned


def _variables(plan: Plan) -> dict[str, str | None]:
    """What `${…}` in the compose file stands for."""
    settings = plan.settings
    return {
        **given_names(settings),
        **settings.collector,
        "OTLP_ADDRESS": settings.collector.get("OTLP_BIND"),
        "OTLP_SCHEME": plan.access.scheme,
        "COLLECTOR_URL": None if plan.page_sends else plan.otlp_url,
        "BACKEND_URL": settings.outside(settings.port("BACKEND_PORT")),
        "PUBLIC_PAGE_URL": settings.outside(settings.port("FRONTEND_PORT")),
        "SAME_ORIGIN": "yes" if settings.same_origin else None,
        "GOMEMLIMIT": memory_limit(plan),
        # The routes that raise errors on purpose are for people who try the stack out.
        "DEBUG_ROUTES": str(settings.deployment_environment == "local").lower(),
        "RELEASE": service_version(plan.root),
        "CONFIG_DIR": str(plan.config_folder),
        **{name: str(folder) for name, folder in plan.folders.items()},
    }


def _without(plan: Plan) -> Iterator[str]:
    """The files that leave out what the settings do not ask for. Raises StackError."""
    settings = plan.settings
    if plan.control_url is None:
        yield "without-emulators"
    if settings.sample_app == "off":
        if settings.page == "on":
            raise StackError(
                "PAGE=on asks for the sample application's page, which SAMPLE_APP=off leaves out",
                "take one of the two out of .env",
            )
        yield "without-sample-app"
    elif not has_page(settings, plan.root):
        yield "without-page"


def has_page(settings: Settings, root: Path) -> bool:
    """Whether the page is part of the stack: unless the user said, where it can be built."""
    return settings.page == "on" or (settings.page is None and can_serve_page(root))


def otel_env(path: Path) -> dict[str, str]:
    """The variables of an otel.env file. Raises StackError when it is missing, or a value is."""
    return {name: value for name, value in read_env_file(path).items() if value is not None}


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
