"""Endpoints that lead nowhere, and listeners that too many reach."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from stack.collector_config.distribution import component_type
from stack.config_traps.look import Look, Trap, called, walk
from stack.routes import LOOPBACK

OTLP_HTTP = frozenset({"otlp_http", "otlphttp"})
OTLP_GRPC = frozenset({"otlp_grpc", "otlp"})


def no_url(look: Look) -> Iterator[Trap]:
    for owner, body in look.components("exporters"):
        kind = component_type(owner[1])
        for key, value in body.items():
            if not key.endswith("endpoint") or not isinstance(value, str):
                continue
            keys = (*owner, key)
            if kind in OTLP_GRPC:
                good, form = _is_grpc_target(value), "host:port"
            elif kind in OTLP_HTTP or value:
                good, form = _is_url(value), "http://host:port or https://host"
            else:
                continue
            if good:
                continue
            unset = look.config.unset.get(keys, [])
            why = f" ({unset[0]} is not set)" if unset else ""
            yield look.problem(
                keys,
                f"{called(owner)}: {key} {value!r} is no address{why}",
                f"set {unset[0]} in .env" if unset else f"write it as {form}",
            )


def _is_url(value: str) -> bool:
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        return False
    return url.scheme in {"http", "https"} and bool(url.hostname) and port != 0


def _is_grpc_target(value: str) -> bool:
    bare = re.sub(r"^(https?|dns|passthrough|unix)://+", "", value)
    if value.startswith("unix:"):
        return True
    try:
        url = urlsplit(f"//{bare}")
        return bool(url.hostname) and url.port is not None
    except ValueError:
        return False


def too_open(look: Look) -> Iterator[Trap]:
    if not look.native:
        return
    for owner, body in look.components("receivers", "extensions"):
        for keys, value in walk(body, owner):
            if keys[-1] != "endpoint" or not isinstance(value, str) or "://" in value:
                continue
            if beyond_loopback(value):
                yield look.warning(
                    keys,
                    f"{called(owner)} listens on {value}, where other machines reach it",
                    "bind it to 127.0.0.1, or put a firewall before it",
                )


def beyond_loopback(endpoint: str) -> bool:
    """Whether a listener on `host:port` is reached from other machines."""
    host = urlsplit(f"//{endpoint}").hostname or ""
    if not host:
        return True
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host not in LOOPBACK
