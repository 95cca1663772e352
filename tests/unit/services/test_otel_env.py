"""The files that instrument the services: read alike by Docker Compose and natively."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from dotenv import dotenv_values

SERVICES = Path(__file__).resolve().parents[3] / "services"
FILES = [SERVICES / "backend/otel.env", SERVICES / "profiles/otel.env"]


def known_names() -> set[str]:
    """Every variable that the installed packages declare."""
    modules = {point.module for point in entry_points(group="opentelemetry_environment_variables")}
    return {
        value
        for module in modules
        for value in vars(import_module(module)).values()
        if isinstance(value, str) and value.startswith("OTEL_")
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SERVICES)))
def test_each_line_means_the_same_to_every_reader(file: Path) -> None:
    lines = file.read_text().splitlines()
    pairs = dict(line.split("=", 1) for line in lines if line.strip() and not line.startswith("#"))

    assert all(re.fullmatch(r"OTEL_[A-Z_]+", name) for name in pairs)
    # Quotes, `$` and a # after the value are read in one way here and in another there.
    assert all(re.fullmatch(r"[^\s\"'$#`\\]+", value) for value in pairs.values())
    assert pairs == dotenv_values(file, interpolate=False)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SERVICES)))
def test_no_name_is_misspelled(file: Path) -> None:
    known = known_names()
    assert "OTEL_SERVICE_NAME" in known

    assert set(dotenv_values(file)) <= known


def test_each_service_names_itself_and_sets_no_more() -> None:
    own = [dotenv_values(file) for file in FILES]

    assert own == [{"OTEL_SERVICE_NAME": name} for name in ("backend-flask", "profiles-flask")]
