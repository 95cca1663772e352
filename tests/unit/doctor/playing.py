"""A server that answers as told, and a setup whose vendor is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stack.doctor.setup import Setup
from stack.finding import Finding
from stack.vendors import Vendor


@dataclass
class Server:
    """Answers every request alike; `seen` are method, path and headers of those that came."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    by_path: dict[str, tuple[int, Any]] = field(default_factory=dict)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    url: str = ""


def with_vendor(setup: Setup, name: str, **changes: Any) -> Setup:
    """The setup with one vendor changed; `keys` go to collector and app."""
    keys: Mapping[str, str] = changes.pop("keys", {})

    def changed(vendor: Vendor) -> Vendor:
        if vendor.name != name:
            return vendor
        return replace(
            vendor,
            collector={**vendor.collector, **keys},
            app={**vendor.app, **keys},
            **changes,
        )

    return replace(setup, vendors=tuple(map(changed, setup.vendors)))


def only(findings: Iterable[Finding]) -> Finding:
    """The one finding that there is."""
    [finding] = findings
    return finding


def text(findings: Iterable[Finding]) -> str:
    """Every finding as a line, for `in`."""
    return "\n".join(f"{one.verdict}: {one.what} → {one.todo}" for one in findings)
