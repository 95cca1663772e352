"""docs/tutorial.md: its commands, in its order, in a copy of the project."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from stack.page_build import can_serve_page
from stack.settings import ROOT
from tests.integration.harness.checkout import Checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    made = Checkout(tmp_path / "project", page=can_serve_page(ROOT))
    yield made
    made.close()


def commands() -> list[str]:
    """Each line in a block of commands."""
    text = (ROOT / "docs/tutorial.md").read_text()
    lines = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    return [line.strip() for line in lines.splitlines() if line]


def words(command: str) -> list[str]:
    """What the Makefile has the `stack` command do for a line that begins with `make`."""
    # Under `make test` this is a make within a make, which would say where it is.
    dry = ["--dry-run", "--no-print-directory", "--old-file=.venv/stack", "STACK="]
    make = [*command.split(), *dry]
    said = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True)
    return said.stdout.split()


@pytest.mark.only_native
def test_the_tutorials_commands_do_what_it_says(checkout: Checkout) -> None:
    given = commands()
    assert (given[0], given[-1]) == ("make up", "make down")
    for command in given:
        asked = words(command)
        # With more patience than a person has, for a machine that others keep busy.
        ended = checkout.run(*asked, *(["--deadline=60"] if "verify" in asked else []))
        assert ended.code == 0, f"{command}: {ended.output}"
        if command == "make verify FROM=page":
            assert "click verify" in ended.output
        if command == "make up" and checkout.settings["PAGE"] == "on":
            page = f"http://127.0.0.1:{checkout.ports['FRONTEND_PORT']}"
            assert page in ended.output
            assert "Cruddur" in requests.get(page, timeout=30).text
