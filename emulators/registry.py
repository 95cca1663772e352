"""Every vendor there is an emulator for: the folders beside this file.

A folder holds `settings.py` with a dataclass `Settings`, whose field `key` is the variable
EMULATOR_<FOLDER>_KEY, and `api.py` with `emulator(settings, others)`. `others` are all emulators by
name, complete only once every one was made.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from emulators.core.settings import Settings, from_variables
from emulators.core.vendor import Vendor

HERE = Path(__file__).parent


def settings_kinds() -> dict[str, type[Any]]:
    """The classes of the vendors' own settings, by the prefix of their variables."""
    return {name.upper(): module.Settings for name, module in _modules("settings").items()}


def load_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Every EMULATOR_* of `env` (the process's by default). Raises SettingsError."""
    return from_variables(os.environ if env is None else env, settings_kinds())


def make_emulators(settings: Settings) -> dict[str, Vendor]:
    """Every vendor by its name. Ports are bound here, so OSError comes at once."""
    vendors: dict[str, Vendor] = {}
    for module in _modules("api").values():
        vendor: Vendor = module.emulator(settings, vendors)
        vendors[vendor.name] = vendor
    return vendors


def _modules(part: str) -> dict[str, Any]:
    return {
        file.parent.name: import_module(f"emulators.{file.parent.name}.{part}")
        for file in sorted(HERE.glob(f"*/{part}.py"))
        if file.parent.name != "core"
    }
