"""The config in the form that a distribution can run, and what is lost by that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from stack.collector_config.adot import for_adot
from stack.collector_config.distribution import Distribution
from stack.collector_config.hop import through_a_hop

CALLED = {"own": "our build", "contrib": "contrib", "adot": "ADOT"}


def form_for(
    distribution: Distribution, config: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """`config` as this distribution can run it, and a sentence for each thing that is lost by it.

    Raises StackError where that would open a receiver, or mix up what is for two exporters.
    """
    if distribution == "own":
        return dict(config), []
    form, losses = through_a_hop(config)
    if distribution == "adot":
        form, more = for_adot(form)
        losses += more
    return form, losses


def render_form(distribution: Distribution, config: Mapping[str, Any]) -> tuple[str, list[str]]:
    """`form_for` as YAML text. Comments are lost with it."""
    form, losses = form_for(distribution, config)
    called = CALLED[distribution]
    head = f"# The collector's config in the form that {called} can run.\n" + "".join(
        f"# Not in {called}: {loss}\n" for loss in losses
    )
    return head + yaml.safe_dump(form, sort_keys=False, allow_unicode=True, width=100), losses
