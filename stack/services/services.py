"""The Flask services' processes, under opentelemetry-instrument."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from stack.errors import StackError
from stack.python_env import PythonEnv
from stack.services.model import COLLECTOR_HOSTS, Plan, merged
from stack.services.process import Process
from stack.services.sending import sending
from stack.settings import Settings


def profiles(plan: Plan) -> Process:
    return _flask(
        plan,
        name="profiles-flask",
        folder="profiles",
        port=plan.settings.profiles_port,
        start_order=20,
        own=_sampler(plan, trust_callers=True),
    )


def backend(plan: Plan) -> Process:
    own = {
        "PROFILES_URL": f"http://127.0.0.1:{plan.settings.profiles_port}",
        "DATABASE_URL": f"sqlite:///{plan.folders['DATA_DIR'] / 'cruddur.db'}",
        "DEBUG_ROUTES": plan.environment["DEBUG_ROUTES"],
        "LOG_ROUTE": plan.settings.log_route,
        "FRONTEND_ORIGINS": ",".join(plan.settings.page_origins),
        **_log_exporter(plan.settings),
        **_sampler(plan, trust_callers=plan.settings.trust_callers == "on"),
        **merged(vendor.app for vendor in plan.vendors),
    }
    return _flask(
        plan,
        name="backend-flask",
        folder="backend",
        port=plan.settings.backend_port,
        start_order=30,
        own=own,
    )


def _flask(
    plan: Plan, *, name: str, folder: str, port: int, start_order: int, own: Mapping[str, str]
) -> Process:
    services = plan.root / "services"
    package = {"backend": "cruddur", "profiles": "profiles"}[folder]
    python = PythonEnv(
        plan.root / ".run/services-venv", services / "requirements.txt", "the services' packages"
    )
    return Process(
        name=name,
        argv=(
            str(python.bin / "opentelemetry-instrument"),
            # It finds gunicorn.conf.py in its folder; opentelemetry-instrument would take --config
            # for an option of its own.
            "gunicorn",
            f"{package}:create_app()",
        ),
        cwd=services / folder,
        environment={
            **otel_env(services / "otel.env"),
            **otel_env(services / folder / "otel.env"),
            **{
                key: plan.environment[key]
                for key in ("WEB_CONCURRENCY", "OTEL_RESOURCE_ATTRIBUTES")
            },
            "TRUSTED_PROXIES": str(plan.settings.trusted_proxies),
            "CLIENT_ADDRESS": plan.settings.client_address,
            **sending(plan),
            "PATH": f"{python.bin}{os.pathsep}{os.defpath}",
            "PYTHONPATH": os.pathsep.join(
                str(services / name) for name in ("serving", "sampler", "exporter", folder)
            ),
            "PYTHONUNBUFFERED": "1",
            "BIND": f"127.0.0.1:{port}",
            **own,
        },
        ports={f"{folder.upper()}_PORT": port},
        health=f"http://127.0.0.1:{port}/api/health-check",
        start_order=start_order,
        python=python,
    )


def _sampler(plan: Plan, *, trust_callers: bool) -> dict[str, str]:
    """Everything, or what X-Ray's sampling rules say, which are asked for through the collector.

    The SDK's own default, parentbased_always_on, records nothing for a caller that does not sample.
    Between our services that is right: profiles-flask follows the backend, which asks it.
    """
    if plan.settings.traces_sampler == "always_on":
        return {"OTEL_TRACES_SAMPLER": "parentbased_always_on" if trust_callers else "always_on"}
    host = COLLECTOR_HOSTS[plan.runtime]
    proxy = f"http://{host}:{plan.settings.port('AWSPROXY_PORT')}"
    return {
        "OTEL_TRACES_SAMPLER": plan.settings.traces_sampler,
        # New rules are seen within a minute; a changed one within 10 s, with its next quota.
        "OTEL_TRACES_SAMPLER_ARG": (
            f"endpoint={proxy},polling_interval=60,trust_callers={str(trust_callers).lower()}"
        ),
    }


def _log_exporter(settings: Settings) -> dict[str, str]:
    """One of the two routes for logs: beside watchtower, OTLP would double every line."""
    return {"OTEL_LOGS_EXPORTER": "none"} if settings.log_route == "watchtower" else {}


def otel_env(path: Path) -> dict[str, str]:
    """The variables of an otel.env file.

    Raises StackError when the file is not there or a line holds no value.
    """
    if not path.is_file():
        raise StackError(f"{path} is missing", "restore it from git")
    values = dotenv_values(path, interpolate=False)
    missing = [name for name, value in values.items() if value is None]
    if missing:
        raise StackError(f"{path} gives {missing[0]} no value", "write it as NAME=value")
    return {name: value for name, value in values.items() if value is not None}
