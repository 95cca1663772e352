"""What users run knows nothing of what developers run."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from stack.settings import ROOT

ABOVE = {"tools", "tests"}


def imported(source: str) -> Iterator[str]:
    """The top-level packages that a module imports, also inside of functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def names(folder: str, above: set[str]) -> set[str]:
    """The modules of `folder` that import one of the packages `above`."""
    return {
        str(file.relative_to(ROOT))
        for file in (ROOT / folder).rglob("*.py")
        if above & {*imported(file.read_text())}
    }


@pytest.mark.parametrize("folder", ["stack", "emulators", "services"])
def test_what_is_shipped_imports_neither_tools_nor_tests(folder: str) -> None:
    assert names(folder, ABOVE) == set()


def test_tools_import_no_tests() -> None:
    assert names("tools", {"tests"}) == set()


@pytest.mark.parametrize(
    "line", ["import tools", "from tools.test_machine import debian", "def f(): import tests.ports"]
)
def test_each_way_to_import_is_seen(line: str) -> None:
    assert ABOVE & {*imported(line)}
