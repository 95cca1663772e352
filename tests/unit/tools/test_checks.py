"""What `make test` lints, and how it counts."""

from __future__ import annotations

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from stack.settings import ROOT
from tools.checks import _counts, lint_commands


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "a.yaml": "",
        "deep/b.yml": "",
        "Dockerfile": "",
        "deep/Dockerfile.dev": "",
        "deep/any.Dockerfile": "",
        "deep/any.Dockerfile.dockerignore": "",
        "run.sh": "",
        ".ci/run": "",
        ".gitignore": "ignored/\n",
        "ignored/c.yaml": "",
        "deleted.yaml": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "a.yaml", "deleted.yaml"], cwd=tmp_path, check=True)
    (tmp_path / "deleted.yaml").unlink()
    return tmp_path


@pytest.mark.parametrize(
    ("linter", "files"),
    [
        ("yamllint", {"a.yaml", "deep/b.yml"}),
        ("hadolint", {"Dockerfile", "deep/Dockerfile.dev", "deep/any.Dockerfile"}),
        ("shellcheck", {"run.sh", ".ci/run"}),
    ],
)
def test_each_linter_gets_the_files_of_its_kind_that_git_would_keep(
    root: Path, linter: str, files: set[str]
) -> None:
    # when
    command = lint_commands(root)[linter]
    # then
    assert {word for word in command[1:] if not word.startswith("-")} == files


def test_every_linter_is_a_program_of_the_projects_own_environment(root: Path) -> None:
    for command in lint_commands(root).values():
        assert Path(command[0]).is_file(), command[0]


def test_skipped_tests_count_as_neither(tmp_path: Path) -> None:
    # given
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite tests="9" failures="2" errors="1" skipped="3"/>'
        '<testsuite tests="1" failures="0" errors="0" skipped="0"/></testsuites>'
    )
    # then
    assert _counts(report) == (4, 3)


def test_each_module_that_the_makefile_runs_is_there() -> None:
    run = set(re.findall(r"-m (tools\.\w+)", (ROOT / "Makefile").read_text()))
    assert "tools.checks" in run
    for name in run:
        assert find_spec(name), name
