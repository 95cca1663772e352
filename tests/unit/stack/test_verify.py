"""Whom `verify` cannot look at, and that it says so."""

from __future__ import annotations

import io

import pytest
from otel_stack_distro.defaults import HEALTH_CHECKS
from rich.console import Console

from stack.commands.verify import show
from stack.services import external, make_plan
from stack.settings import ROOT, load_settings
from stack.verify import Report, untried


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"DEPLOYMENT_ENVIRONMENT": "production"}, "DEPLOYMENT_ENVIRONMENT=production"),
        ({"ROLLBAR_ACCESS_TOKEN": "0123456789abcdef" * 2}, "the token that sends it cannot ask"),
        ({}, ""),
    ],
)
def test_a_rollbar_that_is_not_looked_at_is_told(environment: dict[str, str], why: str) -> None:
    # given
    plan = make_plan(load_settings(ROOT, environment), ROOT, "native")
    printed = io.StringIO()
    # when
    show(Report("0" * 32, (), untried=dict(untried(plan))), Console(file=printed, width=200))
    # then
    assert ("rollbar was not looked at" in printed.getvalue()) is bool(why)
    assert why in printed.getvalue()


def test_health_checks_are_those_of_the_distro() -> None:
    assert external.HEALTH_CHECKS == HEALTH_CHECKS
