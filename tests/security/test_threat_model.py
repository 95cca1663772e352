"""docs/security.md names a test for each control: the test exists, and it is in no second table."""

from __future__ import annotations

import re
import subprocess
import sys

from stack.settings import ROOT

PAGE = ROOT / "docs/security.md"
COLUMNS = 4

ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.read_text()
    .partition("## Controls")[2]
    .partition("## What is not")[0]
    .split("\n")
    if line.startswith("| ") and not line.startswith("| control ")
]
NAMED = [re.findall(r"`([^`]+::[^`]+)`", row[2]) for row in ROWS]
TESTS = sorted({test for tests in NAMED for test in tests})


def test_each_control_says_where_it_is_what_shows_it_and_what_was_taken_out() -> None:
    assert len(ROWS) > 25
    for row, tests in zip(ROWS, NAMED, strict=True):
        assert len(row) == COLUMNS, row
        assert all(row), row
        assert tests, row


def test_each_test_that_is_named_exists() -> None:
    # when pytest is asked for them
    in_python = [test for test in TESTS if ".py::" in test]
    command = ["-m", "pytest", "--collect-only", "--quiet", "--runtime=native", *in_python]
    asked = subprocess.run(
        [sys.executable, *command, "-p", "no:cacheprovider"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    # then
    assert asked.returncode == 0, asked.stdout[-2000:] + asked.stderr[-2000:]
    found = {line.partition("[")[0] for line in asked.stdout.splitlines()}
    assert [test for test in in_python if test not in found] == []


def test_each_test_in_another_language_exists() -> None:
    for test in TESTS:
        file, _, name = test.partition("::")
        if not file.endswith(".py"):
            assert re.search(rf"\b{re.escape(name)}\b", (ROOT / file).read_text()), test


def test_the_files_that_are_named_exist() -> None:
    for row in ROWS:
        for name in re.findall(r"`([^`*]+)`", row[1]):
            if "/" in name and not name.startswith("make "):
                assert (ROOT / name).exists(), row
