"""The product's own plan, on ports and in a folder that nobody else has."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from stack.collector_config.text import CONFIG_FILE, env_defaults
from stack.services import Plan, make_plan
from stack.settings import ROOT, Settings, own_names
from stack.vendors import settings_kinds
from tests.integration.harness.stack import BACKEND, PROFILES, TEST_ENVIRONMENT, Change
from tests.ports import free_ports

Runtime = Literal["docker", "native"]


def shipped_plan(folder: Path, runtime: Runtime) -> Plan:
    """The plan of the defaults, whatever `.env` says, with free ports; all is written to `folder`.

    Collector config and version are those of now: what somebody edits meanwhile restarts nothing.
    """
    config = folder / CONFIG_FILE.name
    shutil.copyfile(ROOT / CONFIG_FILE, config)
    defaults = env_defaults(config.read_text())
    ports = ports_by_name(defaults)
    settings = Settings(
        runtime=runtime,
        run_dir=folder,
        # It needs Node, and takes longer to build than all else takes to start.
        page="off",
        python_image=os.environ.get("PYTHON_IMAGE"),
        collector_config=config,
        collector={**defaults, **{name: str(ports[name]) for name in defaults if name in ports}},
        ports={name: ports[name] for name in Settings().ports},
        of_vendors=tuple(kind(**_of(kind, ports)) for kind in settings_kinds()),
        **_of(Settings, ports),
    )
    plan = make_plan(settings, ROOT, runtime)
    return _with_environment(plan, dict.fromkeys((PROFILES, BACKEND), TEST_ENVIRONMENT))


def _of(kind: type[BaseModel], ports: Mapping[str, int]) -> dict[str, Any]:
    """The ports among the fields of `kind`."""
    return {name: ports[name.upper()] for name in kind.model_fields if name.upper() in ports}


def ports_by_name(collector_defaults: Iterable[str]) -> dict[str, int]:
    """A free port for each name of a port that a user can set, by that name."""
    names = {name for name in (*own_names(), *collector_defaults) if name.endswith("_PORT")}
    return dict(zip(sorted(names), free_ports(len(names)), strict=True))


def changed_plan(shipped: Plan, change: Change) -> Plan:
    """`shipped` with `change` in it. A changed collector config is written to the run folder."""
    plan = _with_environment(shipped, change.environment)
    if change.collector_config is None:
        return plan
    config = shipped.run_dir / "changed-config.yaml"
    config.write_text(change.collector_config)
    settings = shipped.settings.model_copy(update={"collector_config": config})
    return dataclasses.replace(plan, settings=settings)


def _with_environment(plan: Plan, variables: Mapping[str, Mapping[str, str]]) -> Plan:
    return dataclasses.replace(
        plan,
        processes=tuple(
            dataclasses.replace(
                process,
                environment={**process.environment, **variables.get(process.name, {})},
            )
            for process in plan.processes
        ),
    )
