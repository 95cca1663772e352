"""docs/tutorial.md: its commands, in its order, in a copy of the project."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import requests

from stack.page_build import can_serve_page
from stack.settings import ROOT
from tests.integration.harness.checkout import Checkout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    made = Checkout(tmp_path / "project", page=can_serve_page(ROOT))
    yield made
    made.close()


def commands() -> list[str]:
    """The words after `make` of each line in a block of commands."""
    text = (ROOT / "docs/tutorial.md").read_text()
    lines = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    return [line.removeprefix("make ").strip() for line in lines.splitlines() if line]


@pytest.mark.only_native
def test_the_tutorials_commands_do_what_it_says(checkout: Checkout) -> None:
    given = commands()
    assert (given[0], given[-1]) == ("up", "down")
    for command in given:
        ended = checkout.run(command)
        assert ended.code == 0, f"make {command}: {ended.output}"
        if command == "up" and checkout.settings["PAGE"] == "on":
            page = f"http://127.0.0.1:{checkout.ports['FRONTEND_PORT']}"
            assert page in ended.output
            assert "Cruddur" in requests.get(page, timeout=5).text
