"""The collector's config: read, held against what each distribution has, checked by its binary."""

from __future__ import annotations

from stack.collector_config.adot import for_adot, render_for_adot
from stack.collector_config.distribution import (
    KINDS,
    component_type,
    components,
    missing_components,
)
from stack.collector_config.text import (
    CONFIG_FILE,
    env_defaults,
    env_required,
    escaped,
    go_memory_limit,
    load,
    parse,
    read,
    shown,
    unescaped,
)
from stack.collector_config.validation import validate

__all__ = [
    "CONFIG_FILE",
    "KINDS",
    "component_type",
    "components",
    "env_defaults",
    "env_required",
    "escaped",
    "for_adot",
    "go_memory_limit",
    "load",
    "missing_components",
    "parse",
    "read",
    "render_for_adot",
    "shown",
    "unescaped",
    "validate",
]
