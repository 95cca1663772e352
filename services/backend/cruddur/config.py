"""The backend's settings, read from the environment once at start."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from otel_stack_distro.rollbar import DEFAULT_ENDPOINT, RollbarConfig

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class CloudWatchConfig:
    """`endpoint`: None for AWS itself. `region`: None for the one that boto3 finds."""

    group: str = "cruddur"
    endpoint: str | None = None
    region: str | None = None


@dataclass(frozen=True)
class Config:
    """What can be set.

    `database_url`: SQLAlchemy's, SQLite only. `profiles_timeout`: seconds for the whole call.
    `debug_routes`: serve `/api/debug/error` and `/rollbar/test`. `rollbar`: None reports no errors.
    `cloudwatch`: None sends no logs by watchtower. `service`: the name on the telemetry.
    """

    database_url: str = "sqlite:///.run/data/cruddur.db"
    profiles_url: str = "http://127.0.0.1:4568"
    profiles_timeout: float = 0.5
    frontend_origins: tuple[str, ...] = ("http://127.0.0.1:3000", "http://localhost:3000")
    debug_routes: bool = False
    rollbar: RollbarConfig | None = None
    cloudwatch: CloudWatchConfig | None = None
    service: str = "backend-flask"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Config:
        """Raises ValueError, one line that names the variable and what it may be."""
        origins = environ.get("FRONTEND_ORIGINS")
        return cls(
            database_url=_database_url(environ.get("DATABASE_URL", cls.database_url)),
            profiles_url=_http_url(
                "PROFILES_URL", environ.get("PROFILES_URL", cls.profiles_url)
            ).rstrip("/"),
            frontend_origins=cls.frontend_origins if origins is None else _origins(origins),
            debug_routes=_flag("DEBUG_ROUTES", environ.get("DEBUG_ROUTES", "false")),
            rollbar=_rollbar(environ),
            cloudwatch=_cloudwatch(environ),
            service=environ.get("OTEL_SERVICE_NAME") or cls.service,
        )


def _rollbar(environ: Mapping[str, str]) -> RollbarConfig | None:
    token = environ.get("ROLLBAR_ACCESS_TOKEN")
    if not token:
        return None
    endpoint = _http_url("ROLLBAR_ENDPOINT", environ.get("ROLLBAR_ENDPOINT") or DEFAULT_ENDPOINT)
    # What the telemetry says of itself: the environment and version have one source.
    resource = dict(
        pair.split("=", 1)
        for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")
        if "=" in pair
    )
    return RollbarConfig(
        token=token,
        endpoint=endpoint if endpoint.endswith("/") else f"{endpoint}/",
        environment=resource.get("deployment.environment", "production"),
        code_version=resource.get("service.version"),
    )


def _cloudwatch(environ: Mapping[str, str]) -> CloudWatchConfig | None:
    route = environ.get("LOG_ROUTE") or "otlp"
    if route not in {"otlp", "watchtower"}:
        raise ValueError(f"LOG_ROUTE is {route!r}. It has to be otlp or watchtower.")
    if route == "otlp":
        return None
    return CloudWatchConfig(
        group=environ.get("CLOUDWATCH_LOG_GROUP") or CloudWatchConfig.group,
        endpoint=environ.get("CLOUDWATCH_LOGS_ENDPOINT") or None,
        region=environ.get("AWS_REGION") or None,
    )


def _database_url(value: str) -> str:
    path = value.removeprefix("sqlite:///")
    # Each worker would have a store of its own in memory.
    if path in {value, "", ":memory:"} or "?" in path:
        raise ValueError("DATABASE_URL has to be like sqlite:///path/to/file.db.")
    return value


def _http_url(name: str, value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{name} is {value!r}. It has to be like http://127.0.0.1:4568.")
    return value


def _origins(value: str) -> tuple[str, ...]:
    origins = tuple(item.strip().rstrip("/") for item in value.split(",") if item.strip())
    for origin in origins:
        _http_url("FRONTEND_ORIGINS", origin)
        if urlsplit(origin).path:
            raise ValueError(f"FRONTEND_ORIGINS holds {origin!r}. An origin ends with its port.")
    return origins


def _flag(name: str, value: str) -> bool:
    if value.lower() not in {"true", "false"}:
        raise ValueError(f"{name} is {value!r}. It has to be true or false.")
    return value.lower() == "true"
