"""The backend's settings, read from the environment once at start."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Config:
    """What can be set.

    `database_url`: SQLAlchemy's, SQLite only. `profiles_timeout`: seconds for the whole call.
    `debug_routes`: serve `/api/debug/error`.
    """

    database_url: str = "sqlite:///.run/data/cruddur.db"
    profiles_url: str = "http://127.0.0.1:4568"
    profiles_timeout: float = 0.5
    frontend_origins: tuple[str, ...] = ("http://127.0.0.1:3000", "http://localhost:3000")
    debug_routes: bool = False

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
