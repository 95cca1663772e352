"""What each distribution of the collector has."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

DISTRIBUTIONS = Path(__file__).resolve().parents[2] / "collector/distributions"
KINDS = ("receivers", "processors", "exporters", "connectors", "extensions")


@cache
def components(distribution: str) -> Mapping[str, frozenset[str]]:
    """Component types that `contrib` or `adot` has, by kind (`receivers`, …)."""
    listed = yaml.safe_load((DISTRIBUTIONS / f"{distribution}.yaml").read_text())
    return {kind: frozenset(listed[kind]) for kind in KINDS}


def missing_components(config: Mapping[str, Any], distribution: str) -> list[str]:
    """What `config` defines and the distribution does not have, as `kind/id`."""
    has = components(distribution)
    return [
        f"{kind}/{name}"
        for kind in KINDS
        for name in config.get(kind) or {}
        if component_type(name) not in has[kind]
    ]


def component_type(name: str) -> str:
    """`file` of `file/traces`."""
    return name.partition("/")[0]
