"""The forms of the config for other distributions deliver, through upstream's own components."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.client import Client
from emulators.honeycomb.settings import Settings
from emulators.inprocess import running as emulators
from stack.collector_build import ensure_built
from stack.collector_config.distribution import Distribution, distribution_of, missing_components
from stack.collector_config.files import load_together
from stack.collector_config.forms import form_for, render_form
from stack.collector_config.validation import validate
from stack.errors import StackError
from stack.settings import ROOT
from stack.waiting import wait_for
from tests.ports import free_ports
from tests.unit.collector.running import SHIPPED, running
from tests.unit.fragments.delivery import SECRET, send
from tests.unit.fragments.expectations import AWS

pytestmark = pytest.mark.collector

SECONDS = 60
UPSTREAM = Path("tests/upstream")
EVERYBODY = (
    ("honeycomb", "traces"),
    ("honeycomb", "metrics"),
    ("honeycomb", "logs"),
    ("xray", "traces"),
    ("aws", "metrics"),
    ("aws", "logs"),
)
FORMS: tuple[Distribution, ...] = ("contrib", "adot")


@pytest.fixture(scope="module")
def upstream() -> Path:
    """Upstream's components, without any of ours."""
    binary = Path(".run/bin/otelcol-upstream")
    return ensure_built(ROOT, UPSTREAM, binary, "building upstream's components")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with emulators() as started:
        yield started


@pytest.mark.parametrize("distribution", FORMS)
def test_a_form_holds_only_what_the_distribution_has(distribution: Distribution) -> None:
    form, losses = form_for(distribution, load_together(SHIPPED))

    assert missing_components(form, distribution) == []
    assert any("a queue of their own for awsxray and awsemf" in loss for loss in losses)


def test_upstream_refuses_the_config_as_our_build_takes_it(upstream: Path) -> None:
    with pytest.raises(StackError, match=r"exporter aws\w+ knows no setting \w+"):
        validate(upstream, SHIPPED, {})


def test_a_collector_is_told_from_ours_by_what_it_is_made_of(upstream: Path, binary: Path) -> None:
    assert distribution_of([str(upstream)]) == "contrib"
    assert distribution_of([str(binary)]) == "own"


@pytest.mark.parametrize("distribution", FORMS)
def test_every_vendor_gets_its_data_and_waits_for_no_other(
    upstream: Path, client: Client, tmp_path: Path, distribution: Distribution
) -> None:
    # given
    config = tmp_path / "config.yaml"
    config.write_text(render_form(distribution, load_together(SHIPPED))[0])
    environment = AWS | {
        "AWS_HOP_PORT": str(free_ports(1)[0]),
        "HONEYCOMB_API_KEY": Settings().key,
        "HONEYCOMB_ENDPOINT": client.address("honeycomb"),
        "XRAY_ENDPOINT": client.address("xray"),
        "CLOUDWATCH_LOGS_ENDPOINT": client.address("aws"),
    }
    trace_id = f"{int(time.time()):08x}{secrets.token_hex(12)}"
    with running(upstream, tmp_path / "collector", config, environment) as collector:
        client.reset(everything=True)
        client.break_("xray", "hang")
        # when
        for signal in ("traces", "metrics", "logs"):
            send(collector, signal, trace_id)
        # then
        wait_for(
            "all but X-Ray to have it",
            lambda: held_by(client, trace_id),
            until=lambda held: held >= {*EVERYBODY} - {("xray", "traces")},
            seconds=SECONDS,
        )
        client.heal()
        wait_for(
            "X-Ray to have it, too",
            lambda: held_by(client, trace_id),
            until=lambda held: held >= {*EVERYBODY},
            seconds=SECONDS,
        )
    masked = SECRET not in client.items("honeycomb")
    assert masked == (distribution == "contrib")


def held_by(client: Client, trace_id: str) -> set[tuple[str, str]]:
    """Vendor and signal. CloudWatch's metrics have names, and no trace id."""
    held = {
        (vendor, signal)
        for vendor, signals in client.holds_all(trace_id).items()
        for signal, items in signals.items()
        if items
    }
    return held | ({("aws", "metrics")} if client.metrics(name="app.requests") else set())
