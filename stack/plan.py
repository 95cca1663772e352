"""What is to run: settings turned into processes, variables, ports and health checks."""

from __future__ import annotations

import os
import subprocess
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from dotenv import dotenv_values

from stack.access import FRAGMENTS as ACCESS
from stack.collector_config import go_memory_limit
from stack.collector_config import load as load_config
from stack.errors import StackError
from stack.fragments import aws_endpoint, load, load_file, variables
from stack.page_build import BUILT, can_serve_page
from stack.python_env import PythonEnv
from stack.vendors import Vendor, page_origins, standin_settings, vendors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from stack.access import Access
    from stack.fragments import Fragment
    from stack.settings import Settings

RUN_DIR_MARK = "OTEL_STACK_RUN_DIR"
"""Set in every process of a native stack, so that one is found also when supervisor was killed."""

PAGE = "frontend-react"

STANDIN_HOSTS = {"native": "127.0.0.1", "docker": "standins"}
"""Where the stack's own processes reach the stand-ins."""

INSIDE_THE_CONTAINER = ("AWS_HOP_PORT", "AWSPROXY_PORT")
"""Ports of the collector that only itself and the other containers reach: not published."""

COLLECTOR_HOSTS = {"native": "127.0.0.1", "docker": "collector"}

SECRETS_INSIDE = "/run/otlp-secrets"
"""Where a container sees its folder of OTLP_SERVER_SECRETS or OTLP_CLIENT_SECRETS."""


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


@dataclass(frozen=True)
class Plan:
    """`environment`: every variable that compose files and processes share."""

    root: Path
    run_dir: Path
    project: str
    runtime: str
    settings: Settings
    environment: Mapping[str, str]
    processes: tuple[Process, ...]
    vendors: tuple[Vendor, ...]
    folders: Mapping[str, Path] = field(default_factory=dict)

    @property
    def ports(self) -> dict[str, int]:
        """Every port that people or the stack's own commands reach, by its setting's name."""
        return {name: port for process in self.processes for name, port in process.ports.items()}

    def process(self, name: str) -> Process:
        """One of `processes`, by its name."""
        return next(process for process in self.processes if process.name == name)

    @property
    def control_url(self) -> str | None:
        """The stand-ins' control port; None where every vendor is live."""
        if all(vendor.live for vendor in self.vendors):
            return None
        return f"http://127.0.0.1:{self.settings.standin_control_port}"

    @property
    def backend_url(self) -> str:
        return f"http://127.0.0.1:{self.settings.backend_port}"

    @property
    def page_url(self) -> str | None:
        """None where the page is left out."""
        if all(process.name != PAGE for process in self.processes):
            return None
        return f"http://127.0.0.1:{self.settings.frontend_port}"

    @property
    def access(self) -> Access:
        """Who may send OTLP."""
        return self.settings.access

    @property
    def otlp_url(self) -> str:
        return f"{self.access.scheme}://127.0.0.1:{self.settings.port('OTLP_HTTP_PORT')}"

    @property
    def metrics_url(self) -> str:
        """The collector's own metrics."""
        return f"http://127.0.0.1:{self.settings.port('COLLECTOR_METRICS_PORT')}/metrics"

    @property
    def telemetry_dir(self) -> Path:
        return self.folders["TELEMETRY_DIR"]

    @property
    def config_source(self) -> Path:
        """The collector's config that people edit."""
        return (self.root / self.settings.collector_config).resolve()

    @property
    def config_sources(self) -> tuple[Path, ...]:
        """`config_source` and the files of the fragments that are merged into it."""
        return (self.config_source, *(self.root / fragment.file for fragment in self.fragments))

    @property
    def fragments(self) -> tuple[Fragment, ...]:
        """Other vendors, and who may send."""
        vendors = (load(name, self.root) for name in self.settings.fragments)
        access = (ACCESS / f"{name}.yaml" for name in self.access.fragments)
        return (*vendors, *(load_file(file, self.root) for file in access))

    @property
    def config_applied(self) -> Path:
        """The copy that the collector runs with. A collector that dies after a bad edit of the
        source comes back with what it had.
        """
        return self.run_dir / "collector/otel-config.yaml"

    @property
    def collector_binary(self) -> Path:
        return self.settings.collector_bin or self.root / ".run/bin/otelcol"


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
    draft = replace(empty, environment=shared, vendors=vendors(settings, STANDIN_HOSTS[runtime]))
    played = () if draft.control_url is None else (_standins(draft),)
    page = (_page(draft),) if has_page(settings, root) else ()
    processes = (*played, _collector(draft), _profiles(draft), _backend(draft), *page)
    _check_distinct([process.ports for process in processes])
    return replace(draft, processes=processes)


def plan_to_stop(settings: Settings, root: Path, runtime: str) -> Plan:
    """Which stack it is, without what is to run in it: stopping asks for no more."""
    run_dir = (root / settings.run_dir).resolve()
    return Plan(
        root=root,
        run_dir=run_dir,
        project=settings.project,
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


def has_page(settings: Settings, root: Path) -> bool:
    """Whether the page is part of the stack: unless the user said, where it can be built."""
    return settings.page == "on" or (settings.page is None and can_serve_page(root))


def service_version(root: Path) -> str:
    """What git calls this checkout, `unknown` outside of one."""
    git = ["git", "-C", str(root), "describe", "--always", "--dirty", "--tags"]
    try:
        described = subprocess.run(git, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return described.stdout.strip()


def _collector(plan: Plan) -> Process:
    settings = plan.settings
    # The ledger is read there: `up` says that it cannot be, not `status` when it is needed.
    settings.port("COLLECTOR_METRICS_PORT")
    # The page's port is in the config as the origin that may send.
    restricted = plan.access.restricted
    others = {"FRONTEND_PORT", *(INSIDE_THE_CONTAINER if plan.runtime == "docker" else ())}
    ports = {
        name: int(value)
        for name, value in settings.collector.items()
        if name.endswith("_PORT") and name not in others
    }
    return Process(
        name="collector",
        argv=(
            str(plan.collector_binary),
            "--config",
            str(plan.config_applied),
        ),
        cwd=plan.root,
        environment={
            **{
                name: plan.environment[name]
                for name in (*settings.collector, "TELEMETRY_DIR", "QUEUE_DIR")
            },
            **merged(vendor.collector for vendor in plan.vendors),
            **_named_in_config(plan),
            **({"OTLP_SERVER_SECRETS": _seen(plan, plan.access.server)} if restricted else {}),
            **plan.access.server_variables,
            **_memory_limit(plan),
        },
        ports=ports,
        health=f"http://127.0.0.1:{settings.port('COLLECTOR_HEALTH_PORT')}/",
        start_order=10,
    )


def _memory_limit(plan: Plan) -> dict[str, str]:
    try:
        limit = go_memory_limit(load_config(plan.config_source))
    except StackError:
        return {}  # whoever runs or validates this config says what is wrong with it
    return {} if limit is None else {"GOMEMLIMIT": limit}


def _named_in_config(plan: Plan) -> dict[str, str]:
    """What the collector's config names besides, and the variables of the fragments; one without a
    value is left out.
    """
    settings = plan.settings
    host = STANDIN_HOSTS[plan.runtime]
    live = settings.aws_telemetry == "live"
    standin = None if live else f"http://{host}:{settings.standin_otlp_port}"
    shared = {*settings.collector, *merged(vendor.collector for vendor in plan.vendors)}
    found = {name: value for name, value in settings.config_values.items() if name not in shared}
    for fragment in settings.fragments:
        for name, default in variables(load(fragment, plan.root)).items():
            value = settings.config_values.get(name, default)
            value = value or aws_endpoint(name, settings.aws_region, standin)
            if value is not None and name not in shared:
                found[name] = value
    return found


def _standins(plan: Plan) -> Process:
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


def _profiles(plan: Plan) -> Process:
    return _flask(
        plan,
        name="profiles-flask",
        folder="profiles",
        port=plan.settings.profiles_port,
        start_order=20,
        own={},
    )


def _backend(plan: Plan) -> Process:
    own = {
        "PROFILES_URL": f"http://127.0.0.1:{plan.settings.profiles_port}",
        "DATABASE_URL": f"sqlite:///{plan.folders['DATA_DIR'] / 'cruddur.db'}",
        "DEBUG_ROUTES": plan.environment["DEBUG_ROUTES"],
        "LOG_ROUTE": plan.settings.log_route,
        "FRONTEND_ORIGINS": ",".join(page_origins(plan.settings)),
        **_log_exporter(plan.settings),
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
            **_sending(plan),
            **_sampler(plan),
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


def _page(plan: Plan) -> Process:
    port = plan.settings.frontend_port
    server = plan.root / "services/frontend/server"
    python = PythonEnv(
        plan.root / ".run/page-venv", server / "requirements.txt", "the page's server"
    )
    return Process(
        name=PAGE,
        argv=(str(python.bin / "gunicorn"), "page:create_app()"),
        cwd=server,
        environment={
            "PAGE_DIR": str(plan.root / BUILT),
            "BIND": f"127.0.0.1:{port}",
            "PYTHONUNBUFFERED": "1",
            "BACKEND_URL": plan.backend_url,
            # A browser has neither certificate nor token: its server sends for it.
            **(_sending(plan) if plan.access.restricted else {"COLLECTOR_URL": plan.otlp_url}),
            "FRONTEND_ORIGINS": ",".join(page_origins(plan.settings)),
            **{
                name: plan.environment[name]
                for name in ("RELEASE", "DEPLOYMENT_ENVIRONMENT", "DEBUG_ROUTES")
            },
            **merged(vendor.page for vendor in plan.vendors),
        },
        ports={"FRONTEND_PORT": port},
        health=f"http://127.0.0.1:{port}/health",
        start_order=40,
        python=python,
    )


def _sending(plan: Plan) -> dict[str, str]:
    """How a process of the stack sends OTLP, in OpenTelemetry's own variables."""
    host, port = COLLECTOR_HOSTS[plan.runtime], plan.settings.port("OTLP_HTTP_PORT")
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{plan.access.scheme}://{host}:{port}",
        **plan.access.sender_variables(_seen(plan, plan.access.client)),
    }


def _seen(plan: Plan, secrets: Path) -> str:
    """The folder as the plan's processes see it."""
    return SECRETS_INSIDE if plan.runtime == "docker" else str(secrets)


def merged(groups: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """One mapping of several; the last one wins."""
    return {name: value for group in groups for name, value in group.items()}


def _sampler(plan: Plan) -> dict[str, str]:
    """X-Ray's sampling rules, asked for through the collector; else the SDK's own default."""
    if plan.settings.traces_sampler == "always_on":
        return {}
    host = COLLECTOR_HOSTS[plan.runtime]
    proxy = f"http://{host}:{plan.settings.port('AWSPROXY_PORT')}"
    return {
        "OTEL_TRACES_SAMPLER": plan.settings.traces_sampler,
        # New rules are seen within a minute; a changed one within 10 s, with its next quota.
        "OTEL_TRACES_SAMPLER_ARG": f"endpoint={proxy},polling_interval=60",
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


def _check_distinct(groups: list[Mapping[str, int]]) -> None:
    holders: dict[int, str] = {}
    for group in groups:
        for name, port in group.items():
            if port in holders:
                raise StackError(
                    f"{holders[port]} and {name} are both {port}", "give one of them another port"
                )
            holders[port] = name
