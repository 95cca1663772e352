"""docs/security.md names a test for each control: the test exists, and it is in no second table."""

from __future__ import annotations

import re
import subprocess
import sys

from stack.settings import ROOT
from tests.controls.taken_out import rows

COLUMNS = 4

TABLE = rows()
TESTS = sorted({test for row in TABLE for test in row.tests})


def test_each_control_says_where_it_is_what_shows_it_and_what_was_taken_out() -> None:
    assert len(TABLE) > 25
    for row in TABLE:
        assert len(row.cells) == COLUMNS, row
        assert all(row.cells), row
        assert row.tests, row


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
        timeout=400,
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
    for row in TABLE:
        for name in re.findall(r"`([^`*]+)`", row.cells[1]):
            if "/" in name and not name.startswith("make "):
                assert (ROOT / name).exists(), row
