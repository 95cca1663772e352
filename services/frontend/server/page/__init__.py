"""Serves the built page: its files by WhiteNoise, /config.js from the environment."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from whitenoise import WhiteNoise

from page import forward
from page.forward import Forwarder, Sender

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

HASHED = "/assets/"
"""What is under it has its content's digest in its name."""

ROLLBAR = forward.ITEMS.removesuffix("item/")
TEXT, SCRIPT, HTML = (f"text/{kind}; charset=utf-8" for kind in ("plain", "javascript", "html"))
NOT_FOUND = "404 Not Found"

ORIGINS = frozenset({"http://127.0.0.1:3000", "http://localhost:3000"})


@dataclass(frozen=True)
class Config:
    """`folder`: the built page. `backend`, `collector`, `rollbar`: as a browser reaches them; an
    empty `backend` is this server, which sends on to `backend_upstream`. `rollbar_upstream`: where
    its errors go on to, None where the browser sends them itself. `public`: the page's own address
    as the outside has it, None where that is no other.

    Without a `rollbar_token` the page reports no errors; it is a client token, for all to read.
    """

    folder: Path
    backend: str
    collector: str
    release: str
    environment: str
    debug: bool
    rollbar: str
    rollbar_token: str
    backend_upstream: str | None = None
    rollbar_upstream: str | None = None
    public: str | None = None
    sender: Sender | None = None
    """Of the page's spans, where the collector takes none from browsers."""
    origins: frozenset[str] = ORIGINS
    """Where browsers have the page from; `sender` takes spans of no other page."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Config:
        """Raises ValueError, one line that names the variable."""
        folder = Path(environ.get("PAGE_DIR", "dist"))
        if not (folder / "index.html").is_file():
            raise ValueError(f"PAGE_DIR {folder} holds no built page. `npm run build` makes it.")
        upstreams = {
            name: _url(name, environ[name]) if environ.get(name) else None
            for name in ("BACKEND_UPSTREAM", "ROLLBAR_UPSTREAM", "PAGE_URL")
        }
        backend = _url("BACKEND_URL", environ.get("BACKEND_URL", "http://127.0.0.1:8000"))
        return cls(
            folder=folder,
            backend="" if upstreams["BACKEND_UPSTREAM"] else backend,
            collector=_url("COLLECTOR_URL", environ.get("COLLECTOR_URL", "http://127.0.0.1:4318")),
            release=environ.get("RELEASE", "unknown"),
            environment=environ.get("DEPLOYMENT_ENVIRONMENT", "local"),
            debug=environ.get("DEBUG_ROUTES", "false").lower() == "true",
            rollbar=_url(
                "ROLLBAR_ENDPOINT", environ.get("ROLLBAR_ENDPOINT", "https://api.rollbar.com/api/1")
            ),
            rollbar_token=environ.get("ROLLBAR_CLIENT_TOKEN", ""),
            backend_upstream=upstreams["BACKEND_UPSTREAM"],
            rollbar_upstream=upstreams["ROLLBAR_UPSTREAM"],
            public=upstreams["PAGE_URL"],
            sender=Sender.from_environ(environ),
            origins=_origins(environ.get("FRONTEND_ORIGINS")),
        )


class Page:
    """The WSGI application. An address that is no file gets the page, which knows its own."""

    def __init__(self, config: Config) -> None:
        self._script = script(config)
        self._headers = [
            ("Content-Security-Policy", _policy(config)),
            ("X-Content-Type-Options", "nosniff"),
            # frame-ancestors, for browsers from before it.
            ("X-Frame-Options", "DENY"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            # Else another site's page reads the settings, with Rollbar's token, by a script tag.
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
        ]
        self._forward = _forwarders(config)
        self._index = (config.folder / "index.html").read_bytes()
        self._files = WhiteNoise(
            self._other, root=config.folder, max_age=0, immutable_file_test=_immutable
        )

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        def begin(status: str, headers: list[tuple[str, str]], *rest: object) -> object:
            return start(status, [*headers, *self._headers], *rest)  # type: ignore[arg-type]

        return cast("Iterable[bytes]", self._files(environ, begin))

    def _other(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        for known, send in self._forward.items():
            if path == known or (known.endswith("/") and path.startswith(known)):
                answer = send(environ) if forward.is_plain(path) else forward.Answer(NOT_FOUND)
                return _answer(environ, start, answer.status, answer.kind, answer.body)
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return _answer(environ, start, "405 Method Not Allowed", TEXT, b"")
        if path == "/health":
            return _answer(environ, start, "200 OK", TEXT, b"ok\n")
        if path == "/config.js":
            return _answer(environ, start, "200 OK", SCRIPT, self._script)
        if "." in path.rpartition("/")[2]:
            return _answer(environ, start, NOT_FOUND, TEXT, b"no such file\n")
        return _answer(environ, start, "200 OK", HTML, self._index)


def _forwarders(config: Config) -> dict[str, Forwarder]:
    """By the path; one that ends in `/` stands for all below it."""
    found = {}
    if config.sender:
        found[forward.TRACES] = Forwarder(forward.traces(config.sender), config.origins)
    if config.backend_upstream:
        way = forward.api(config.backend_upstream, config.public)
        found[forward.API] = Forwarder(way, config.origins)
        if config.debug:
            found[forward.RAISES] = found[forward.API]
    if config.rollbar_upstream:
        found[forward.ITEMS] = Forwarder(forward.rollbar(config.rollbar_upstream), config.origins)
    return found


def create_app() -> Page:
    """The application with the environment's settings. Raises ValueError."""
    return Page(Config.from_environ())


def script(config: Config) -> bytes:
    """The text of /config.js."""
    told = {
        "backend": config.backend,
        # Empty: where the page came from; only the browser knows by which name that was.
        "collector": "" if config.sender else config.collector,
        "release": config.release,
        "environment": config.environment,
        "debug": config.debug,
        "rollbar": {"endpoint": _rollbar(config), "token": config.rollbar_token}
        if config.rollbar_token
        else None,
    }
    return f"window.CRUDDUR = {json.dumps(told)};\n".encode()


def _rollbar(config: Config) -> str:
    """Seen from the page."""
    return ROLLBAR if config.rollbar_upstream else config.rollbar


def _policy(config: Config) -> str:
    asked = set() if config.backend_upstream else {config.backend}
    if not config.sender:
        asked.add(config.collector)
    if config.rollbar_token and not config.rollbar_upstream:
        asked.add(config.rollbar)
    origins = sorted(f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in asked)
    rules = {
        "default-src": "'self'",
        "connect-src": " ".join(("'self'", *origins)),
        # profiles-flask's pictures.
        "img-src": "'self' data:",
        "object-src": "'none'",
        "base-uri": "'none'",
        # The rule that default-src does not stand in for.
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _immutable(path: str, url: str) -> bool:
    del path
    return url.startswith(HASHED)


def _answer(
    environ: WSGIEnvironment, start: StartResponse, status: str, kind: str, body: bytes
) -> list[bytes]:
    headers = [
        ("Content-Type", kind),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-cache"),
    ]
    start(status, headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _origins(value: str | None) -> frozenset[str]:
    if value is None:
        return ORIGINS
    return frozenset(item.strip().rstrip("/") for item in value.split(",") if item.strip())


def _url(name: str, value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{name} is {value!r}. It has to be like http://127.0.0.1:8000.")
    return value.rstrip("/")
