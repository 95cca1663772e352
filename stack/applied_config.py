"""The config that the collector runs with: a copy, so that an edit takes effect when asked."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stack.access import check
from stack.collector_config import (
    CALLED,
    Distribution,
    env_required,
    load,
    render_form,
    shown,
)
from stack.config_traps.resolved import read
from stack.console import console
from stack.errors import StackError
from stack.fragments import check_keys, merge
from stack.services import COLLECTOR_HOSTS, Plan


def wanted_config(plan: Plan) -> str:
    """The edited file, and the fragments that WITH and OTLP_ACCESS name, as one config.

    Raises StackError for a key that is not set, and for files that contradict.
    """
    check_access(plan)
    text = plan.config_source.read_text()
    variables = plan.process("collector").environment
    for name, line in env_required(text).items():
        if not variables.get(name):
            raise StackError(
                f"{name} is not set; {shown(plan.config_source)}:{line} needs it", "put it in .env"
            )
    check_keys(plan.fragments, variables, plan.root)
    return merge(text, plan.fragments, shown(plan.config_source))


def check_access(plan: Plan) -> float | None:
    """When the first certificate of the plan's senders and collector ends, in seconds since 1970.

    Raises StackError for what would keep the senders out, or let others in.
    """
    names = dict.fromkeys((COLLECTOR_HOSTS["native"], COLLECTOR_HOSTS[plan.runtime]))
    return check(plan.access, names)


def wanted_file(plan: Plan) -> Path:
    """A file with `wanted_config`, for the collector to check: the edited one where that is all."""
    wanted = wanted_config(plan)
    if not plan.fragments:
        return plan.config_source
    file = plan.config_applied.with_name("wanted.yaml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(wanted)
    return file


def in_form(plan: Plan, source: Path, distribution: Distribution) -> Path:
    """A file with the config of `source` as this distribution can run it; says what is lost."""
    text, losses = render_form(distribution, load(source))
    if not losses:
        return source
    tell_losses(distribution, losses)
    file = plan.config_applied.with_name(f"{distribution}.yaml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def tell_losses(distribution: Distribution, losses: Iterable[str]) -> None:
    for loss in losses:
        console.print(f"  not in {CALLED[distribution]}: {loss}", soft_wrap=True)


def apply_config(plan: Plan, text: str) -> None:
    """Replace the copy at once, never by half. It can be read by the containers' user."""
    file = plan.config_applied
    file.parent.mkdir(parents=True, exist_ok=True)
    file.parent.chmod(0o755)
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.chmod(0o644)
    fresh.replace(file)


def applied_config(plan: Plan) -> dict[str, Any]:
    """The config that the collector runs with, its `${env:…}` replaced as the collector does.

    Raises StackError when nothing was applied yet.
    """
    file = plan.config_applied
    if not file.exists():
        raise StackError("no collector has run here yet", "start the stack with `make up`")
    return read([file], plan.process("collector").environment).tree
