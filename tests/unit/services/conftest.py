"""Cruddur's backend on a store of its own, and the spans that it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cruddur import Config, create_app
from flask.testing import FlaskClient
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.unit.services.fake_profiles import REFUSES

MakeClient = Callable[..., FlaskClient]

_exporter = InMemorySpanExporter()


@pytest.fixture(scope="session", autouse=True)
def _tracing() -> None:
    """The API's provider can be set once in a process."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(_exporter))
    trace.set_tracer_provider(provider)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    _exporter.clear()
    yield _exporter
    _exporter.clear()


@pytest.fixture
def make_client(tmp_path: Path) -> MakeClient:
    """Make a client of an app; settings by their names in `Config`. profiles-flask is away."""

    def make(**settings: Any) -> FlaskClient:
        settings = {
            "database_url": f"sqlite:///{tmp_path}/cruddur.db",
            "profiles_url": REFUSES,
            **settings,
        }
        return create_app(Config(**settings)).test_client()

    return make


@pytest.fixture
def client(make_client: MakeClient) -> FlaskClient:
    return make_client()
