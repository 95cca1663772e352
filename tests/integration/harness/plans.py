"""The product's own plan, on ports and in a folder that nobody else has."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from stack.collector_config import CONFIG_FILE, env_defaults
from stack.plan import Plan, make_plan
from stack.settings import ROOT, Settings
from tests.integration.harness.ports import free_ports
from tests.integration.harness.stack import BACKEND, PROFILES, TEST_ENVIRONMENT, Change

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Runtime = Literal["docker", "native"]


def settings_for_tests(folder: Path, runtime: Runtime) -> Settings:
    """The defaults, whatever `.env` says, with free ports and everything written to `folder`."""
    defaults = env_defaults((ROOT / CONFIG_FILE).read_text())
    own = [name for name in Settings.model_fields if name.endswith("_port")]
    collector = [name for name in defaults if name.endswith("_PORT")]
    ports = free_ports(len(own) + len(collector))
    return Settings(
        runtime=runtime,
        run_dir=folder,
        collector={**defaults, **{name: str(ports.pop()) for name in collector}},
        **{name: ports.pop() for name in own},  # type: ignore[arg-type]
    )


def plan_for_tests(settings: Settings, runtime: Runtime, change: Change) -> Plan:
    """The plan with `change` in it. A changed collector config is written to the run folder."""
    if change.collector_config is not None:
        config = settings.run_dir / "changed-config.yaml"
        config.write_text(change.collector_config)
        settings = settings.model_copy(update={"collector_config": config})
    plan = make_plan(settings, ROOT, runtime)
    plan = _with_environment(plan, dict.fromkeys((PROFILES, BACKEND), TEST_ENVIRONMENT))
    return _with_environment(plan, change.environment)


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
