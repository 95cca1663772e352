"""First-class vendors: each module beside this file declares one account, as `VENDOR`.

A vendor without a module is a file in collector/vendors. Everything else iterates over what is
declared here, and names no vendor.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules

from stack.errors import StackError
from stack.vendors.model import Check, Chosen, Declaration, Shape, Vendor, VendorSettings

__all__ = ["DECLARED", "Vendor", "VendorSettings", "vendor", "vendors"]

DECLARED: tuple[Declaration, ...] = tuple(
    import_module(f"{__name__}.{found.name}").VENDOR
    for found in sorted(iter_modules(__path__))
    if found.name != "model"
)


def vendors(settings: Chosen, emulator_host: str) -> tuple[Vendor, ...]:
    """Every vendor in use. `emulator_host` is where processes of the chosen runtime reach the
    emulators.
    """
    return tuple(one for each in DECLARED for one in each.vendors(settings, emulator_host))


def vendor(settings: Chosen, name: str, emulator_host: str) -> Vendor:
    """One of them. Raises StackError."""
    for one in vendors(settings, emulator_host):
        if one.name == name:
            return one
    raise StackError(f"there is no vendor {name}")


def settings_kinds() -> tuple[type[VendorSettings], ...]:
    """The classes that hold the vendors' own names of `.env`."""
    return tuple(each.settings for each in DECLARED)


def key_shapes() -> dict[str, Shape]:
    """By setting."""
    return {name: shape for each in DECLARED for name, shape in each.shapes.items()}


def set_by_the_stack() -> dict[str, str]:
    """Variables of the collector's config, each with the setting that decides it."""
    return {name: by for each in DECLARED for name, by in each.follows.items()}


def vendor_of_type() -> dict[str, str]:
    """By exporter type, whose it is."""
    return {kind: name for each in DECLARED for kind, name in each.exporters.items()}


def public_keys() -> frozenset[str]:
    """Keys that open nothing but an emulator."""
    return frozenset(key for each in DECLARED for key in each.public)


def checks() -> Mapping[str, Check]:
    """Doctor's, by name."""
    return {name: check for each in DECLARED for name, check in each.checks().items()}
