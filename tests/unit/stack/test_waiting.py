"""Waiting ends with the thing waited for, or says what was seen last."""

from __future__ import annotations

import pytest

from stack.waiting import DeadlineError, wait_for


def test_it_returns_what_the_first_satisfying_look_found() -> None:
    # given
    looks = iter([0, 1, 2, 3])
    # when
    found = wait_for("two", lambda: next(looks), until=lambda n: n == 2, seconds=5, pause=0)
    # then
    assert found == 2


def test_at_the_deadline_it_tells_what_was_awaited_and_seen_last() -> None:
    # when
    with pytest.raises(DeadlineError) as late:
        wait_for("a span", lambda: ["a log"], until=lambda _: False, seconds=0, pause=0)
    # then
    assert str(late.value) == "a span: not within 0 s; last seen: ['a log']"
    assert late.value.seen == ["a log"]


def test_nobody_listening_yet_is_not_the_end() -> None:
    # given
    outcomes: list[Exception | str] = [ConnectionRefusedError("refused"), "open"]

    def look() -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    # then
    assert wait_for("the port", look, seconds=5, pause=0) == "open"


def test_what_kept_it_from_looking_is_told_at_the_deadline() -> None:
    def look() -> None:
        raise ConnectionRefusedError("refused")

    with pytest.raises(DeadlineError, match="last seen: refused"):
        wait_for("the port", look, seconds=0, pause=0)


def test_an_error_of_the_look_itself_is_passed_on() -> None:
    def look() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        wait_for("anything", look, seconds=5, pause=0)


def test_it_looks_once_more_when_the_deadline_has_passed() -> None:
    # given a look that takes longer than the deadline
    assert wait_for("anything", lambda: "there", seconds=0) == "there"
