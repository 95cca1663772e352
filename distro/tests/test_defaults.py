"""What a service gets that sets nothing, and that whatever it sets stands."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from importlib.metadata import distribution, entry_points

import pytest
from opentelemetry.util.http import parse_excluded_urls
from otel_stack_distro import defaults
from packaging.requirements import Requirement

from stack.settings import ROOT

README = (ROOT / "distro/README.md").read_text()
PER_LIBRARY = re.compile(r"OTEL_PYTHON_(FLASK|FASTAPI|DJANGO|REQUESTS)_EXCLUDED_URLS")
SIGNALS = ("TRACES", "METRICS", "LOGS")


def test_no_name_is_misspelled() -> None:
    modules = {point.module for point in entry_points(group="opentelemetry_environment_variables")}
    known = {
        value
        for module in modules
        for value in vars(import_module(module)).values()
        if isinstance(value, str) and value.startswith("OTEL_")
    }

    unknown = set(defaults.missing({})) - known - {"OTEL_SEMCONV_STABILITY_OPT_IN"}

    assert [name for name in unknown if not PER_LIBRARY.fullmatch(name)] == []


def test_a_metric_export_ends_before_the_next_begins() -> None:
    found = defaults.missing({})

    timeout = float(found["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT"])
    assert timeout * 1000 < float(found["OTEL_METRIC_EXPORT_INTERVAL"])


@pytest.mark.parametrize("name", defaults.missing({}))
def test_what_the_user_set_stands(name: str) -> None:
    assert name not in defaults.missing({name: "the user's"})


def test_a_timeout_for_all_signals_is_each_ones() -> None:
    found = defaults.missing({"OTEL_EXPORTER_OTLP_TIMEOUT": "10"})

    assert [name for name in found if name.endswith("_TIMEOUT")] == []


def test_upstreams_exporter_keeps_its_own_timeout() -> None:
    """It takes the variable for the time of one try."""
    found = defaults.missing({"OTEL_TRACES_EXPORTER": "otlp"})

    assert "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT" not in found
    assert "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT" in found


def test_grpc_is_upstreams_exporter() -> None:
    found = defaults.missing({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})

    assert {found[f"OTEL_{signal}_EXPORTER"] for signal in SIGNALS} == {"otlp"}


def test_urls_excluded_for_all_libraries_are_each_ones() -> None:
    found = defaults.missing({"OTEL_PYTHON_EXCLUDED_URLS": "metrics"})

    assert [name for name in found if name.endswith("_EXCLUDED_URLS")] == []


@pytest.mark.parametrize(
    ("url", "excluded"),
    [
        ("http://127.0.0.1:8000/health", True),
        ("http://127.0.0.1:8000/api/health-check", True),
        ("http://127.0.0.1:8000/livez/", True),
        ("http://127.0.0.1:8000/readyz?verbose", True),
        ("http://127.0.0.1:8000/health/records", False),
        ("http://127.0.0.1:8000/wealth", False),
    ],
)
def test_health_checks_are_not_traced(url: str, excluded: bool) -> None:
    urls = parse_excluded_urls(defaults.missing({})["OTEL_PYTHON_FLASK_EXCLUDED_URLS"])

    assert urls.url_disabled(url) is excluded


def test_the_readme_explains_each_default() -> None:
    rows = re.findall(r"^\| `(OTEL_\w+)`[^|]*\| `([^`]*)`", README, re.MULTILINE)

    assert {name: value.replace("\\|", "|") for name, value in rows} == defaults.missing({})


def test_the_services_lock_has_what_it_depends_on() -> None:
    project = tomllib.loads((ROOT / "distro/pyproject.toml").read_text())["project"]
    lock = (ROOT / "services/requirements.txt").read_text()
    pins = dict(re.findall(r"^([\w-]+)==([^ ]+)", lock, re.MULTILINE))

    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    for wanted in map(Requirement, [*project["dependencies"], *extras]):
        assert wanted.specifier.contains(pins[wanted.name], prereleases=True), wanted


def test_it_is_installed_as_it_is_here() -> None:
    """Else the entry points of another are what the tests run."""
    project = tomllib.loads((ROOT / "distro/pyproject.toml").read_text())["project"]
    here = {(group, name) for group, points in project["entry-points"].items() for name in points}
    there = distribution(project["name"])

    assert there.version == project["version"]
    assert {(point.group, point.name) for point in there.entry_points} == here
