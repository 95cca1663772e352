"""What ADOT, Honeycomb and five vendors without a fragment publish, imported and run: what is sent
arrives, by the vendor's rules. The files in `published/` have the components, names and settings of
what they name on top, in our own writing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from emulators.client import Client
from emulators.otlp.expectation import Expectation
from stack.collector_config.distribution import components_of
from stack.collector_config.text import load
from stack.collector_config.validation import validate
from stack.config_traps.every import find_traps
from stack.fragments import Fragment, merge, variables
from stack.published.reading import read_published
from stack.published.turning import Imported, turn
from stack.settings import ROOT
from stack.waiting import wait_for
from tests.unit.collector.running import CONFIG, NO_VENDORS, PATTERNS
from tests.unit.fragments.delivery import SENT, SOON, addressed, collector_with, send
from tests.unit.fragments.expectations import AWS, KEY, Wanted
from tests.unit.fragments.migrating import vendors_of

pytestmark = pytest.mark.collector

PUBLISHED = Path(__file__).parent / "published"


@dataclass(frozen=True)
class Arrives:
    """`at`: the vendor that holds each signal. `keys`: what has to be put into `.env`. `with_`:
    fragments that do a part. `lost`: the beginning of each thing that is not taken over.
    """

    at: Mapping[str, str]
    keys: frozenset[str] = frozenset()
    with_: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    says: str = ""
    """What the vendor holds besides what was sent."""


X_RAY = {"traces": "xray"}
TO_HONEYCOMB = frozenset({"HONEYCOMB_API_KEY"})
DETECTION = "processor resourcedetection"
ARRIVES = {
    "adot-default": Arrives(X_RAY | {"metrics": "aws:cruddur"}, lost=("receiver awsxray: `WITH=",)),
    "adot-ecs-default": Arrives(
        X_RAY | {"metrics": "aws:ECS/AWSOTel/Application"},
        lost=("receiver awsxray: ", "receiver statsd: "),
    ),
    "adot-ecs-cloudwatch-xray": Arrives(
        X_RAY | {"metrics": "aws:ECS/AWSOTel/Application"}, lost=(DETECTION,)
    ),
    "adot-ecs-amp-xray": Arrives(
        X_RAY,
        lost=(
            DETECTION,
            "exporter prometheusremotewrite: look whether the vendor takes OTLP",
            "pipeline metrics: ",
            "receiver awsecscontainermetrics: ",
        ),
    ),
    "adot-apprunner": Arrives(X_RAY, lost=(DETECTION,)),
    "adot-docker": Arrives(X_RAY | {"metrics": "aws:cruddur"}, keys=frozenset({"AWS_REGION"})),
    "honeycomb-greeting": Arrives(
        {"traces": "honeycomb", "logs": "honeycomb"},
        keys=TO_HONEYCOMB | {"DATADOG_API_KEY"},
        with_=("datadog",),
        says="'env': 'dev'",
    ),
    "honeycomb-workshop": Arrives(
        dict.fromkeys(SENT, "honeycomb"), keys=TO_HONEYCOMB, says="'friendly-collector'"
    ),
    "honeycomb-configmap": Arrives(
        {"traces": "honeycomb"}, keys=TO_HONEYCOMB, lost=("header x-honeycomb-dataset of",)
    ),
    "honeycomb-arcade": Arrives(
        {"traces": "otlp", "metrics": "otlp", "logs": "honeycomb"}, keys=TO_HONEYCOMB
    ),
    "better-stack": Arrives(
        dict.fromkeys(SENT, "otlp"), keys=frozenset({"BETTERSTACK_ENDPOINT", "BETTERSTACK_TOKEN"})
    ),
    "openobserve": Arrives(
        dict.fromkeys(SENT, "otlp"),
        keys=frozenset({"OPENOBSERVE_ENDPOINT", "OPENOBSERVE_BASIC_AUTH"}),
    ),
    "uptrace": Arrives(
        dict.fromkeys(SENT, "otlp"), keys=frozenset({"UPTRACE_DSN"}), lost=(DETECTION,)
    ),
    "observe": Arrives(
        {"traces": "otlp"}, keys=frozenset({"OBSERVEINC_ENDPOINT", "OBSERVE_TOKEN"})
    ),
    "coralogix": Arrives(
        {"metrics": "otlp", "logs": "otlp"},
        keys=frozenset(
            {
                "CORALOGIX_ENDPOINT",
                "CORALOGIX_TOKEN",
                "CORALOGIX_APPLICATION_NAME",
                "CORALOGIX_SUBSYSTEM_NAME",
            }
        ),
        says="cx.subsystem.name",
    ),
}


def _bearer(name: str, **more: Any) -> Expectation:
    return Expectation(name=name, headers={"authorization": f"Bearer {KEY}"}, **more)


@dataclass(frozen=True)
class Rules(Wanted):
    """The rules of a vendor that has no fragment, as its documentation has them."""

    environment: Mapping[str, str] = field(default_factory=dict)


OTHERS = {
    "honeycomb-arcade": Rules(
        Expectation(name="the visualizer", headers={"x-collector-source": "agent"}),
        {"VISUALIZER_RAW_ENDPOINT": "{http}"},
    ),
    "better-stack": Rules(
        _bearer("Better Stack", protocol="grpc"),
        {"BETTERSTACK_ENDPOINT": "https://{grpc}", "BETTERSTACK_TOKEN": KEY},
        tls="server",
    ),
    "openobserve": Rules(
        Expectation(
            name="OpenObserve",
            protocol="http",
            path_prefix="/api/default",
            headers={"authorization": f"Basic {KEY}", "stream-name": "default"},
        ),
        {"OPENOBSERVE_ENDPOINT": "{http}/api/default", "OPENOBSERVE_BASIC_AUTH": KEY},
    ),
    "uptrace": Rules(
        Expectation(
            name="Uptrace", protocol="grpc", headers={"uptrace-dsn": KEY}, temporality="delta"
        ),
        {"UPTRACE_ENDPOINT": "{grpc}", "UPTRACE_DSN": KEY},
        tls="server",
    ),
    "observe": Rules(
        _bearer("Observe", protocol="http", path_prefix="/v2/otel"),
        {"OBSERVEINC_ENDPOINT": "{http}/v2/otel", "OBSERVE_TOKEN": KEY},
    ),
    "coralogix": Rules(
        _bearer("Coralogix", protocol="grpc"),
        {
            "CORALOGIX_ENDPOINT": "{grpc}",
            "CORALOGIX_TOKEN": KEY,
            "CORALOGIX_APPLICATION_NAME": "cruddur",
            "CORALOGIX_SUBSYSTEM_NAME": "backend",
        },
        tls="server",
    ),
}
NO_OTHER = Rules(Expectation())


@pytest.fixture(params=ARRIVES)
def imported(request: pytest.FixtureRequest, binary: Path) -> Imported:
    [file] = PUBLISHED.glob(f"{request.param}.*")
    published = read_published(file.read_text(), file)
    has = components_of([str(binary)])
    return turn(published, Imported("", file.name), load(CONFIG), has, ROOT)


def _stem(imported: Imported) -> str:
    return imported.file.partition(".")[0]


def _part(imported: Imported) -> Fragment:
    """Also where nothing is to be added."""
    if imported.tree:
        return imported.fragment
    return Fragment(imported.name, imported.file, "service: {}\n", {"service": {}})


def test_each_file_is_tested() -> None:
    assert {file.stem for file in PUBLISHED.iterdir()} == set(ARRIVES)


def test_what_is_sent_arrives(
    binary: Path,
    tmp_path: Path,
    certificates: Path,
    every_emulator: Callable[[str], Client],
    imported: Imported,
) -> None:
    # given
    name, trace_id = _stem(imported), secrets.token_hex(16)
    wanted, arrives = OTHERS.get(name, NO_OTHER), ARRIVES[name]
    emulators = every_emulator(wanted.tls)
    environment = {**vendors_of(emulators), **addressed(wanted, emulators, certificates)}
    with collector_with(binary, tmp_path, _part(imported), environment) as collector:
        emulators.reset(everything=True)
        emulators.expect(wanted.rules)
        for signal, where in arrives.at.items():
            # when
            send(collector, signal, trace_id)
            # then
            held = wait_for(
                f"{signal} of {name} at {where}",
                _held(emulators, where, trace_id, signal),
                until=bool,
                seconds=SOON,
            )
            assert arrives.says in repr(held)


def test_it_is_said_what_is_missing_and_what_to_put_into_env(imported: Imported) -> None:
    arrives = ARRIVES[_stem(imported)]

    assert set(imported.keys) == arrives.keys
    assert tuple(imported.fragments) == arrives.with_
    assert len(imported.lost) == len(arrives.lost), imported.lost
    assert all(any(one.startswith(lost) for one in imported.lost) for lost in arrives.lost)
    assert {n for n, default in variables(_part(imported)).items() if default is None} <= set(
        imported.keys
    )


def test_it_is_valid_and_the_lint_finds_nothing(
    binary: Path, tmp_path: Path, imported: Imported
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(merge(CONFIG.read_text(), [_part(imported)]))
    keys = dict.fromkeys(imported.keys, "http://127.0.0.1:1")
    environment = {**NO_VENDORS, **AWS, **keys}

    validate(binary, [config, PATTERNS], environment)

    assert find_traps([config, PATTERNS], environment, tmp_path, native=True) == []


def _held(emulators: Client, where: str, trace_id: str, signal: str) -> Callable[[], list[Any]]:
    vendor, _, namespace = where.partition(":")
    if namespace:
        return lambda: emulators.metrics(namespace=namespace)
    return lambda: emulators.holds(vendor, trace_id).get(signal, [])
