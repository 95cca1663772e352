"""The config that the collector runs with: copies, so that an edit takes effect when asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from stack.access import check
from stack.collector_config.distribution import Distribution
from stack.collector_config.files import ConfigTexts, load_together
from stack.collector_config.forms import CALLED, render_form
from stack.collector_config.resolved import read
from stack.collector_config.text import env_required, shown
from stack.collector_config.text import read as read_text
from stack.console import console
from stack.errors import StackError
from stack.fragments import check_keys, merge
from stack.services import COLLECTOR_HOSTS, Plan


def wanted_config(plan: Plan) -> ConfigTexts:
    """The edited files; the fragments that WITH and OTLP_ACCESS name are merged into the first.

    Raises StackError for a key that is not set, and for files that contradict.
    """
    check_access(plan)
    text = read_text(plan.config_source)
    variables = plan.process("collector").environment
    for name, line in env_required(text).items():
        if not variables.get(name):
            raise StackError(
                f"{name} is not set; {shown(plan.config_source)}:{line} needs it", "put it in .env"
            )
    check_keys(plan.fragments, variables, plan.root)
    merged = merge(text, plan.fragments, shown(plan.config_source))
    return ConfigTexts(merged, *map(read_text, plan.patterns_source))


def check_access(plan: Plan) -> float | None:
    """When the first certificate of the plan's senders and collector ends, in seconds since 1970.

    Raises StackError for what would keep the senders out, or let others in.
    """
    names = dict.fromkeys((COLLECTOR_HOSTS["native"], COLLECTOR_HOSTS[plan.runtime]))
    return check(plan.access, names)


def staged(plan: Plan, texts: ConfigTexts) -> tuple[Path, ...]:
    """Files with these texts, for a collector to check."""
    return texts.write(plan.config_folder / "wanted")


def in_form(plan: Plan, texts: ConfigTexts, distribution: Distribution) -> ConfigTexts:
    """`texts` as this distribution can run them; says what is lost."""
    files = staged(plan, texts)
    # ADOT, which has no `redaction`, makes another processor of some of the patterns.
    own = files if distribution == "adot" else files[:1]
    text, losses = render_form(distribution, load_together(own))
    if not losses:
        return texts
    tell_losses(distribution, losses)
    return ConfigTexts(text) if distribution == "adot" else replace(texts, config=text)


def tell_losses(distribution: Distribution, losses: Iterable[str]) -> None:
    for loss in losses:
        console.print(f"  not in {CALLED[distribution]}: {loss}", soft_wrap=True)


def apply_config(plan: Plan, texts: ConfigTexts) -> None:
    """Replace the copies, each at once, never by half."""
    texts.write(plan.config_folder)


def applied_config(plan: Plan) -> dict[str, Any]:
    """The config that the collector runs with, its `${env:…}` replaced as the collector does.

    Raises StackError when nothing was applied yet.
    """
    if not all(file.exists() for file in plan.config_applied):
        raise StackError("no collector has run here yet", "start the stack with `make up`")
    return read(plan.config_applied, plan.process("collector").environment).tree
