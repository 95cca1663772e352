"""The suite can fail: on a spoiled stack the very assertion that the tests rely on goes red."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from stack.collector_config.text import CONFIG_FILE, load
from stack.settings import ROOT
from stack.waiting import DeadlineError
from tests.integration.harness.narrow_path import assert_narrow_path
from tests.integration.harness.stack import BACKEND, Change, Stack
from tests.ports import free_ports

pytestmark = pytest.mark.broken

SHORT_SECONDS = 4
"""Twice what a trace takes on two busy cores: where nothing is to come."""

SECONDS_TO_ARRIVE = (6, 30, 60)
"""Where spans are to come, and to be the wrong ones: all of it is waited for, so a machine that is
slow gets another try with more."""


@pytest.fixture
def config() -> dict[str, Any]:
    return load(ROOT / CONFIG_FILE)


def spoil(stack: Stack, config: dict[str, Any]) -> None:
    stack.change(Change(collector_config=yaml.safe_dump(config)))


def test_red_when_the_file_exporter_is_taken_out_of_the_pipeline(
    stack: Stack, config: dict[str, Any]
) -> None:
    # given
    for pipeline in config["service"]["pipelines"].values():
        others = [name for name in pipeline["exporters"] if not name.startswith("file/")]
        pipeline["exporters"] = others or ["debug"]
    spoil(stack, config)
    # then
    with pytest.raises(DeadlineError, match=r"last seen: \[\]"):
        assert_narrow_path(stack, SHORT_SECONDS)


def test_red_when_the_receiver_listens_on_another_port(
    stack: Stack, config: dict[str, Any]
) -> None:
    # given
    http = config["receivers"]["otlp"]["protocols"]["http"]
    host, _, _ = http["endpoint"].partition(":${env:OTLP_HTTP_PORT")
    http["endpoint"] = f"{host}:{free_ports(1)[0]}"
    spoil(stack, config)
    # then
    with pytest.raises(DeadlineError, match=r"last seen: \[\]"):
        assert_narrow_path(stack, SHORT_SECONDS)


def test_red_when_the_service_name_is_wrong(stack: Stack) -> None:
    # given
    stack.change(Change(environment={BACKEND: {"OTEL_SERVICE_NAME": "backend-falsk"}}))
    # then
    for seconds in SECONDS_TO_ARRIVE:
        with pytest.raises(DeadlineError) as late:
            assert_narrow_path(stack, seconds)
        if "backend-falsk" in str(late.value):
            break
    assert "backend-falsk" in str(late.value)


def test_red_when_the_app_is_not_instrumented(stack: Stack) -> None:
    # given
    stack.change(Change(environment={BACKEND: {"OTEL_SDK_DISABLED": "true"}}))
    # then
    with pytest.raises(DeadlineError):
        assert_narrow_path(stack, SHORT_SECONDS)


def test_red_when_the_trace_context_is_not_taken_up(stack: Stack) -> None:
    # given a backend that knows no traceparent
    stack.change(Change(environment={BACKEND: {"OTEL_PROPAGATORS": "baggage"}}))
    # then
    with pytest.raises(DeadlineError):
        assert_narrow_path(stack, SHORT_SECONDS)
