"""The collector's config: read, held against what each distribution has, checked by its binary."""

from __future__ import annotations

from stack.collector_config.distribution import (
    KINDS,
    Distribution,
    component_type,
    components,
    distribution_of,
    missing_components,
)
from stack.collector_config.files import (
    REDACTION_FILE,
    ConfigTexts,
    config_arguments,
    config_files,
    load_together,
    wants_patterns,
)
from stack.collector_config.forms import CALLED, form_for, render_form
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
    "CALLED",
    "CONFIG_FILE",
    "KINDS",
    "REDACTION_FILE",
    "ConfigTexts",
    "Distribution",
    "component_type",
    "components",
    "config_arguments",
    "config_files",
    "distribution_of",
    "env_defaults",
    "env_required",
    "escaped",
    "form_for",
    "go_memory_limit",
    "load",
    "load_together",
    "missing_components",
    "parse",
    "read",
    "render_form",
    "shown",
    "unescaped",
    "validate",
    "wants_patterns",
]
