"""What each distribution of the collector has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from stack.errors import StackError
from stack.program import ProgramError, run

DISTRIBUTIONS = Path(__file__).resolve().parents[2] / "collector/distributions"
OURS = "otel-stack/durable"
"""A module that our build alone is made of."""

ASK_SECONDS = 30

Distribution = Literal["own", "contrib", "adot"]

KINDS = ("receivers", "processors", "exporters", "connectors", "extensions")


def distribution_of(command: Sequence[str]) -> Distribution:
    """Whose collector `command` runs; of any that is not our build, contrib's form is right.

    Raises StackError where it does not run.
    """
    told = _told(command)
    if told is None:
        return "adot"
    return "own" if OURS in told else "contrib"


def components_of(command: Sequence[str]) -> Mapping[str, frozenset[str]]:
    """Component types that the collector has which `command` runs, by kind (`receivers`, …).

    Raises StackError where it does not run.
    """
    told = _told(command)
    if told is None:
        return components("adot")
    listed = yaml.safe_load(told)
    return {kind: frozenset(one["name"] for one in listed[kind]) for kind in KINDS}


def _told(command: Sequence[str]) -> str | None:
    """What the collector says of its components; None from ADOT's, which has no word for it."""
    try:
        return run([*command, "components"], seconds=ASK_SECONDS)
    except ProgramError as failed:
        if "unknown command" in failed.output:
            return None
        raise StackError(
            f"the collector does not say what it is made of ({failed})",
            "set COLLECTOR_BIN or COLLECTOR_IMAGE to another, or take it out of .env",
        ) from None


@cache
def components(distribution: str) -> Mapping[str, frozenset[str]]:
    """Component types that `contrib` or `adot` has, by kind (`receivers`, …)."""
    listed = yaml.safe_load((DISTRIBUTIONS / f"{distribution}.yaml").read_text())
    return {kind: frozenset(listed[kind]) for kind in KINDS}


def missing_components(config: Mapping[str, Any], distribution: str) -> list[str]:
    """What `config` defines and the distribution does not have, as `kind/id`."""
    has = components(distribution)
    return [
        f"{kind}/{name}"
        for kind in KINDS
        for name in config.get(kind) or {}
        if component_type(name) not in has[kind]
    ]


def component_type(name: str) -> str:
    """`file` of `file/traces`."""
    return name.partition("/")[0]
