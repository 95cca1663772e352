"""What counts as red: a test that failed of what it asserts, and nothing else."""

from __future__ import annotations

import pytest

from tests.controls.inner_run import Outcome, read_go, read_report, run_in_copy
from tests.controls.taken_out import Change

FILE = "stack/private_file.py"
TEST = (
    "tests/security/test_secrets_in_errors.py"
    "::test_a_file_for_keys_is_private_before_they_are_in_it"
)
ANSWER = "collector/build/durable/answer.go"
TEST_OF_GO = "collector/build/durable/answer_test.go::TestAKeyThatAVendorRepeatsIsHidden"


def test_a_control_that_is_out_is_red() -> None:
    seen = run_in_copy([Change(FILE, "MODE = 0o600", "MODE = 0o644")], [TEST], "native")

    assert seen.why_not_red() == ""
    assert [*seen.red] == [TEST]
    assert "0o644" in seen.red[TEST] or "420 == 384" in seen.red[TEST]


def test_a_change_that_harms_nothing_is_not_red() -> None:
    seen = run_in_copy([Change(FILE, "Files that hold keys", "Files with keys")], [TEST], "native")

    assert seen.why_not_red() == f"not red: {TEST}"


def test_a_change_that_breaks_all_shows_nothing() -> None:
    seen = run_in_copy([Change(FILE, "MODE = 0o600", "MODE = ")], [TEST], "native")

    assert seen.why_not_red().startswith("nothing was shown: ")
    assert seen.red == {}


def test_a_test_that_is_not_there_shows_nothing() -> None:
    seen = run_in_copy([], [f"{TEST}_anywhere"], "native")

    assert seen.why_not_red().startswith("nothing was shown: ")


@pytest.mark.taken_out
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (Change(ANSWER, "{'*'}", "{'x'}"), f"not red: {TEST_OF_GO}"),
        (Change(ANSWER, "{'*'}", "{*}"), f"nothing was shown: nothing ran of {TEST_OF_GO}"),
        (Change(ANSWER, "\thideKeys(body, request.Header)\n"), ""),
    ],
    ids=["harms nothing", "does not compile", "is out"],
)
def test_so_it_is_for_go(change: Change, why: str) -> None:
    seen = run_in_copy([change], [TEST_OF_GO], "native")

    assert seen.why_not_red() == why, seen.output


def test_what_go_prints_is_read() -> None:
    # given
    seen = Outcome()
    said = (
        "=== RUN   TestOne\n    one_test.go:12: got 1, wanted 2\n--- FAIL: TestOne (0.01s)\n"
        "--- PASS: TestTwo (0.00s)\nFAIL\n"
    )
    # when
    read_go(said, {"TestOne": "a/b_test.go::TestOne", "TestTwo": "a/b_test.go::TestTwo"}, seen)
    # then
    assert seen.red == {"a/b_test.go::TestOne": "one_test.go:12: got 1, wanted 2"}
    assert seen.green == ["a/b_test.go::TestTwo"]


CASE = '<testcase file="t.py" name="test_it[a]">{}</testcase>'


@pytest.mark.parametrize(
    ("inside", "why"),
    [
        ('<failure message="assert 1 == 2"/>', ""),
        ("", "not red: t.py::test_it[a]"),
        ("<skipped/>", "not red: no test ran"),
        (
            '<error message="failed on setup with &quot;boom&quot;"/>',
            "no test came so far as to look: {'t.py::test_it[a]': 'failed on setup with \"boom\"'}",
        ),
        (
            '<failure message="NameError: name is not defined"/>',
            "red, but of something else: {'t.py::test_it[a]': 'NameError: name is not defined'}",
        ),
        (
            '<error message="collection failure"/>',
            "nothing was shown: t.py::test_it[a] could not be collected",
        ),
    ],
)
def test_what_pytest_reports_is_read(inside: str, why: str) -> None:
    # given
    seen = Outcome()
    # when
    read_report(f"<testsuites><testsuite>{CASE.format(inside)}</testsuite></testsuites>", seen)
    # then
    assert seen.why_not_red() == why


def test_an_error_of_a_fixture_is_red_where_the_case_says_so() -> None:
    seen = Outcome(errors={"t.py::test_it": "failed on setup"})

    assert seen.why_not_red()
    assert not seen.why_not_red(error_is_red=True)
