"""What users run knows nothing of what developers run."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions

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


ONLY_THESE = """
import importlib, pkgutil, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"{name} is not among the operator's packages")

ABSENT = set(sys.argv[1:])
sys.meta_path.insert(0, Absent())
import stack
for module in pkgutil.walk_packages(stack.__path__, "stack."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def test_the_command_runs_on_the_operators_packages_alone() -> None:
    """A developer's environment has those of the emulators and tests, too."""
    lock = (ROOT / "requirements.txt").read_text()
    locked = {_normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)}
    absent = [
        module
        for module, owners in packages_distributions().items()
        if not locked & {_normal(owner) for owner in owners} and module.isidentifier()
    ]

    imports = [sys.executable, "-c", ONLY_THESE, *absent]
    done = subprocess.run(imports, cwd=ROOT, capture_output=True, text=True, check=False)

    assert "google" in absent
    assert done.returncode == 0, done.stderr


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
