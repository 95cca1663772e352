"""What `opentelemetry-instrument` loads first: defaults, the SDK's set-up, the instrumentors."""

from __future__ import annotations

import logging
import os
from typing import Any

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
from opentelemetry.util._importlib_metadata import EntryPoint, entry_points

from otel_stack_distro import defaults
from otel_stack_distro.ends import deliver_at_every_end
from otel_stack_distro.forks import count_from_zero
from otel_stack_distro.request_context.django_settings import before_setup

_logger = logging.getLogger(__name__)
_set_up: set[str] = set()

CURE = f"set OTEL_PYTHON_DISTRO={defaults.NAME} and OTEL_PYTHON_CONFIGURATOR={defaults.NAME}"


class Distro(BaseDistro):  # type: ignore[misc]
    """Sets what the user left unset; the SDK and every instrumentor read the environment."""

    def _configure(self, **_: Any) -> None:
        os.environ.update(defaults.missing(os.environ))
        deliver_at_every_end()
        _set_up.add("distro")

    def load_instrumentor(self, entry_point: EntryPoint, **arguments: Any) -> None:
        """Called for each instrumentor whose library is installed."""
        if entry_point.name == "fastapi":
            # Two or more spans in each request that say nothing beyond its server span.
            arguments["exclude_spans"] = ["receive", "send"]
        if entry_point.name == "django":
            load = super().load_instrumentor
            before_setup(lambda: load(entry_point, **arguments))
        else:
            super().load_instrumentor(entry_point, **arguments)


class Configurator(_OTelSDKConfigurator):
    """The SDK's own, and a forked child's metrics begin at zero."""

    def _configure(self, **arguments: Any) -> None:
        super()._configure(**arguments)  # type: ignore[no-untyped-call]
        os.register_at_fork(after_in_child=count_from_zero)
        _set_up.add("configurator")


def tell_who_won() -> None:
    """Say so where another distro was set up, and nobody chose it: without OTEL_PYTHON_DISTRO the
    first of a directory's listing is.
    """
    for part in ("distro", "configurator"):
        chosen = os.environ.get(f"OTEL_PYTHON_{part.upper()}", defaults.NAME)
        if part not in _set_up and chosen == defaults.NAME:
            there = {each.name for each in entry_points(group=f"opentelemetry_{part}")}
            others = " or ".join(sorted(there - {defaults.NAME}))
            _logger.warning("this process has the %s %s, not ours: %s", part, others, CURE)
            return
