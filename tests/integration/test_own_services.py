"""docs/without-the-sample-app.md and docs/add-a-service.md, word by word, with two apps of 20 lines
in folders outside of the project.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from emulators.client import Client
from stack.compose_file import COMPOSE_FILE
from stack.settings import ROOT
from stack.telemetry import read_spans
from stack.waiting import wait_for
from tests.integration.harness.checkout import Checkout, Ended
from tests.integration.harness.traffic import Exchange, send
from tests.ports import free_ports

ORDERS = {
    "orders.py": """\
import logging

from fastapi import FastAPI

app = FastAPI()
logger = logging.getLogger("orders")


@app.get("/orders")
def orders() -> list[dict[str, object]]:
    logger.warning("the orders were read")
    return [{"id": 7, "item": "bread"}, {"id": 8, "item": "milk"}]


@app.get("/health")
def health() -> str:
    return "ok"
""",
    "pyproject.toml": '[project]\nname = "orders"\nversion = "1"\ndependencies = ["fastapi"]\n',
}
SHOP = {
    "shop.py": """\
import logging
import os

import requests
from flask import Flask

app = Flask(__name__)
logger = logging.getLogger("shop")


@app.get("/")
def shop():
    logger.warning("the shop was entered")
    return requests.get(os.environ["ORDERS_URL"], timeout=10).json()


@app.get("/health")
def health():
    return "ok"
""",
    "requirements.txt": "flask\nrequests\n",
    ".env": "ORDERS_URL=http://orders:8000/orders\n",
}


@pytest.fixture
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Checkout]:
    made = Checkout(tmp_path / "project")
    made.settings["RUNTIME"] = request.config.getoption("--runtime")
    yield made
    made.close()


def commands(page: str) -> list[list[str]]:
    """By block of a page: its commands."""
    text = (ROOT / "docs" / page).read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [block.splitlines() for block in blocks]


def run(checkout: Checkout, command: str) -> Ended:
    """A line of a page, as `make` has it done, or the line of `.env` that it adds."""
    if line := re.fullmatch(r"echo (\w+)=(\w+) >> \.env", command):
        checkout.settings[line[1]] = line[2]
        return Ended(0, "")
    dry = ["--dry-run", "--no-print-directory", "--old-file=.venv/stack", "STACK="]
    make = [*command.split(), *dry]
    said = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True)
    words = shlex.split(said.stdout)
    ended = checkout.run(*words, *(["--deadline=60"] if words == ["verify"] else []))
    assert ended.code == 0, f"{command}: {ended.output}"
    if words[0] == "add-service":
        # As a person does whose port is another one's.
        [port] = free_ports(1)
        checkout.settings[f"{words[1].upper()}_PORT"] = str(port)
    return ended


def write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)


def in_folder(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def sent(checkout: Checkout, service: str, path: str) -> Exchange:
    exchange = send(f"http://127.0.0.1:{checkout.settings[f'{service.upper()}_PORT']}{path}")
    assert exchange.response.ok
    return exchange


def assert_everybody_has(emulators: Client, service: str, exchange: Exchange) -> None:
    """The request's spans and log records by its trace id, and the service's own metrics."""

    def missing() -> list[str]:
        places = [("honeycomb", "traces"), ("honeycomb", "logs"), ("xray", "traces")]
        places.append(("aws", "logs"))
        held = emulators.holds_all(exchange.trace_id)
        lacking = [f"{who} {what}" for who, what in places if not held.get(who, {}).get(what)]
        durations = emulators.metrics(name="http.server.request.duration")
        if not any(one["dimensions"].get("service.name") == service for one in durations):
            lacking.append("aws metrics")
        if not emulators.sums("honeycomb"):
            lacking.append("honeycomb metrics")
        return lacking

    wait_for("every vendor", missing, until=lambda lacking: not lacking, seconds=90)


@pytest.mark.timeout(900, func_only=True)
def test_a_team_puts_its_own_services_into_the_sample_apps_place(
    checkout: Checkout, tmp_path: Path
) -> None:
    # given two services beside the project, and the project as it is shipped
    write(tmp_path / "orders", ORDERS)
    write(tmp_path / "shop", SHOP)
    shipped = in_folder(checkout.folder / "compose")
    without, first, *_ = commands("without-the-sample-app.md")
    # when the sample application is left out, by the page's words
    for command in without:
        ended = run(checkout, command)
    # then the stack proves itself without any service
    assert "collector: a request's trace (1 span)" in ended.output
    names = {service["name"] for service in checkout.status()["services"]}
    assert names == {"collector", "emulators"}
    # when the first service takes its place
    for command in first:
        ended = run(checkout, command)
    # and a second one is added by the other page's
    for command in [line for block in commands("add-a-service.md") for line in block]:
        ended = run(checkout, command.replace("orders", "shop"))
        if command == "make up":
            # then the proof is of each of them
            assert "shop: a request's trace" in ended.output
            assert "orders: a request's trace" in ended.output
    # and they are what the commands speak of
    status = checkout.status()
    assert {one["name"] for one in status["services"]} == {*names, "orders", "shop"}
    assert {"orders", "shop"} <= {one["service"] for one in status["recorded"]}
    # and a request to one that asks the other is one trace at every vendor
    exchange = sent(checkout, "shop", "/")
    emulators = Client(f"http://127.0.0.1:{checkout.ports['EMULATOR_CONTROL_PORT']}")
    with emulators:
        for service in ("shop", "orders"):
            assert_everybody_has(emulators, service, exchange)
    record = checkout.run_dir / "telemetry/traces.jsonl"
    assert {one.service for one in read_spans(record, exchange.trace_id)} == {"shop", "orders"}
    # and one file of the project is another, and none of the services'
    changed = {
        name
        for name, text in in_folder(checkout.folder / "compose").items()
        if shipped.get(name) != text
    }
    assert changed == {COMPOSE_FILE.name}
    for name, files in (("orders", ORDERS), ("shop", SHOP)):
        assert in_folder(tmp_path / name) == {f: text.encode() for f, text in files.items()}
    # when its entry is deleted
    compose = checkout.folder / COMPOSE_FILE
    entry = r"  # Added by[^\n]*\n  shop:\n(?: {4}[^\n]*\n)+"
    compose.write_text(re.sub(entry, "", compose.read_text()))
    del checkout.settings["SHOP_PORT"]
    run(checkout, "make up")
    # then it is gone
    assert "shop" not in {service["name"] for service in checkout.status()["services"]}
    with pytest.raises(requests.ConnectionError):
        requests.get(exchange.response.url, timeout=5)
    assert checkout.run("down").code == 0
