"""A service of one's own is its folder and an entry in the compose file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from stack.compose_file import COMPOSE_FILE
from stack.telemetry import Span, read_spans
from stack.waiting import wait_for
from tests.integration.harness.checkout import Checkout
from tests.ports import free_ports

ENTRY = """\
  orders:
    <<: *hardened
    build: {<<: *service_build, args: {<<: *python_args, SERVICE: orders}}
    command: [opentelemetry-instrument, gunicorn, "orders:create_app()"]
    env_file: [../services/orders/otel.env]
    environment: {<<: *sends, BIND: "0.0.0.0:8000", BACKEND_URL: "http://backend-flask:8000"}
    ports: ["127.0.0.1:${ORDERS_PORT:-4569}:8000"]
    healthcheck: {test: [CMD, python3, -IS, /app/probe.py, "http://127.0.0.1:8000/health"]}
    depends_on: {backend-flask: {condition: service_started}}
    x-native:
      working_dir: services/orders
      venv: services-venv
      requirements: services/requirements.txt
      what: the services' packages
      packages: [distro]

  frontend-react:
"""
FILES = {
    "orders.py": """\
import os

import requests
from flask import Flask


def create_app():
    app = Flask("orders")
    backend = os.environ["BACKEND_URL"]
    app.add_url_rule("/health", "health", lambda: "ok")
    app.add_url_rule(
        "/orders", "orders", lambda: requests.get(f"{backend}/api/activities/home").json()
    )
    return app
""",
    "gunicorn.conf.py": 'import os\n\nbind = os.environ["BIND"]\n',
    "otel.env": "OTEL_SERVICE_NAME=orders\n",
}


@pytest.fixture
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Checkout]:
    if request.config.getoption("--runtime") == "docker":
        pytest.skip("a process is enough")
    made = Checkout(tmp_path / "project")
    yield made
    made.close()


def test_it_runs_and_joins_the_traces(checkout: Checkout) -> None:
    # given its folder, and its entry
    folder = checkout.folder / "services/orders"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    compose = checkout.folder / COMPOSE_FILE
    compose.write_text(compose.read_text().replace("  frontend-react:\n", ENTRY, 1))
    # and a port in `.env`, as every service may have
    [port] = free_ports(1)
    checkout.settings["ORDERS_PORT"] = str(port)
    # when
    up = checkout.run("up")
    # then it is part of the stack
    assert up.code == 0, up.output
    assert "orders" in {service["name"] for service in checkout.status()["services"]}
    # and its trace goes through the backend
    assert requests.get(f"http://127.0.0.1:{port}/orders", timeout=30).ok
    record = checkout.run_dir / "telemetry/traces.jsonl"

    def trace() -> set[str]:
        spans: list[Span] = read_spans(record)
        ids = {span.trace_id for span in spans if span.service == "orders"}
        return {span.service for span in spans if span.trace_id in ids}

    wait_for("its trace", trace, until=lambda seen: {"orders", "backend-flask"} <= seen, seconds=60)
