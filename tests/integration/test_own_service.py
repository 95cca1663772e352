"""docs/own-service.md, word by word: a service in a folder outside of the project."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from emulators.client import Client
from stack import packages
from stack.applied_config import applied_config
from stack.routes import routes
from stack.services import Plan, make_plan
from stack.settings import ROOT, load_settings
from stack.waiting import wait_for
from tests.integration.harness.checkout import Checkout, running_checkout
from tests.ports import free_ports

pytestmark = pytest.mark.only_native

PAGE = (ROOT / "docs/own-service.md").read_text()
FRAMEWORKS = ROOT / "distro/tests/programs/requirements.txt"
SECONDS = 60

FLASK = """\
import logging

from flask import Flask

log = logging.getLogger("orders")
app = Flask("orders")


@app.get("/orders/<int:number>")
def order(number):
    log.warning("order %s", number)
    return {"order": number}
"""
FASTAPI = """\
import logging

from fastapi import FastAPI

log = logging.getLogger("orders")
app = FastAPI()


@app.get("/orders/{number}")
def order(number: int):
    log.warning("order %s", number)
    return {"order": number}
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    with running_checkout(tmp_path_factory.mktemp("own") / "project", "native") as made:
        # The operator's packages are there already.
        (made.folder / ".venv").symlink_to(ROOT / ".venv")
        yield made


@pytest.fixture(scope="module")
def shell(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a shell in the service's own environment, which has its framework."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    packages.install(FRAMEWORKS, "the frameworks", into=folder / "venv")
    make = folder / "bin/make"
    make.parent.mkdir()
    make.write_text('#!/bin/sh\nexec /usr/bin/make --old-file=.venv/stack "$@"\n')
    make.chmod(0o755)
    return {
        "PATH": os.pathsep.join([str(folder / "venv/bin"), str(make.parent), os.defpath]),
        "HOME": str(folder),
        "STACK": str(checkout.folder),
        # All that the distro depends on is there.
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def block(section: str) -> str:
    """The commands of a section of the page."""
    found = re.search(rf"^## {section}$.*?^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found, section
    return found[1]


def run(text: str, folder: Path, shell: dict[str, str]) -> str:
    done = subprocess.run(
        ["sh", "-ec", text], cwd=folder, env=shell, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def started(text: str, folder: Path, shell: dict[str, str], port: int) -> Iterator[None]:
    console = folder / "console.log"
    with console.open("w") as output:
        # The last line runs until it is told to end.
        *before, last = text.strip().splitlines()
        words = "\n".join([*before, f"exec {last}"])
        process = subprocess.Popen(
            ["sh", "-ec", words], cwd=folder, env=shell, stdout=output, stderr=output
        )
    try:
        url = f"http://127.0.0.1:{port}/nothing"
        wait_for("the service", lambda: requests.get(url, timeout=2).status_code, seconds=SECONDS)
        yield
    finally:
        process.terminate()
        process.wait(timeout=SECONDS)


def files(checkout: Checkout) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(checkout.folder.rglob("*"))
        if path.is_file() and not {".run", ".venv", "__pycache__"} & {*path.parts}
    }


@pytest.mark.parametrize(
    ("framework", "app"), [("flask", FLASK), ("fastapi", FASTAPI)], ids=["flask", "fastapi"]
)
def test_the_pages_words_bring_a_service_to_every_vendor(
    checkout: Checkout, shell: dict[str, str], tmp_path: Path, framework: str, app: str
) -> None:
    # given an app of its own, under a name and at a port that no other test has
    (tmp_path / "orders.py").write_text(app)
    service, [port] = f"orders-{framework}", free_ports(1)

    def own(text: str) -> str:
        return text.replace("8000", str(port)).replace("SERVICE=orders", f"SERVICE={service}")

    before = files(checkout)
    start = block("2. Start")
    if framework == "fastapi":
        [fastapi] = re.findall(r"`(opentelemetry-instrument uvicorn [^`]*)`", PAGE)
        start = re.sub(r"^opentelemetry-instrument.*$", fastapi, start, flags=re.MULTILINE)
    # when
    run(block("1. Install"), tmp_path, shell)
    with started(own(start), tmp_path, shell, port):
        said = run(own(block("3. See it arrive")), tmp_path, shell)
    # then its trace is at every vendor, which `verify` says
    [trace_id] = set(re.findall(r"[0-9a-f]{32}", said))
    assert re.search(rf"^{service}\s+GET /orders/", said, re.MULTILINE), said
    # and so are its metrics and logs
    plan = make_plan(load_settings(checkout.folder, {}), checkout.folder, "native")
    wait_for(
        "metrics and logs at every vendor",
        lambda: lacking(plan, service, trace_id),
        until=lambda missing: not missing,
        seconds=SECONDS,
    )
    # and doctor finds nothing to say of it
    doctor = checkout.run("doctor", "--json").output
    findings = json.loads(doctor.strip().splitlines()[-1])["findings"]
    assert not [one for one in findings if service in one["what"] and one["verdict"] != "ok"], (
        findings
    )
    # and nothing of the project was touched
    assert files(checkout) == before


def lacking(plan: Plan, service: str, trace_id: str) -> set[tuple[str, str]]:
    """The vendors and signals of the applied config that have nothing of the service."""
    assert plan.control_url
    emulators = {vendor.name: vendor.emulator for vendor in plan.vendors}
    missing = set()
    with Client(plan.control_url) as client:
        for route in routes(applied_config(plan)):
            if route.vendor not in emulators:
                continue
            emulator = emulators[route.vendor]
            if route.signal == "metrics":
                items = map(json.loads, client.items(emulator).splitlines())
                there = any(
                    one["signal"] == "metrics" and service in json.dumps(one) for one in items
                )
            else:
                there = bool(client.held_ids(emulator, trace_id).get(route.signal))
            if not there:
                missing.add((route.vendor, route.signal))
    return missing
