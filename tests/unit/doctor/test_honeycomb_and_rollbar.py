"""Whose key it is, what it may do, and each way in which a vendor can say no."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from emulators.client import Client
from stack.doctor.setup import Setup
from stack.vendors.honeycomb import check_honeycomb
from stack.vendors.rollbar import check_rollbar
from tests.unit.doctor.playing import Server, only, with_vendor

CANARY = "hcaik_" + "c4n4ry" * 9 + "abcd"
AUTH = {
    "api_key_access": {"events": True},
    "team": {"name": "Cruddur", "slug": "cruddur"},
    "environment": {"name": "prod", "slug": "prod"},
}


@pytest.fixture
def honeycomb(make: Callable[..., Setup], server: Server) -> Setup:
    """A live Honeycomb, played by `server`."""
    setup = make(up=False)
    keys = {"HONEYCOMB_API_KEY": CANARY}
    return with_vendor(setup, "honeycomb", live=True, url=server.url, keys=keys)


@pytest.fixture
def rollbar(make: Callable[..., Setup], server: Server) -> Setup:
    setup = make(up=False)
    keys = {"ROLLBAR_ACCESS_TOKEN": CANARY}
    url = f"{server.url}/api/1/"
    server.by_path["/api/1/status/ping"] = (200, "pong")
    return with_vendor(setup, "rollbar", live=True, url=url, keys=keys)


def test_a_good_key_names_team_and_environment(honeycomb: Setup, server: Server) -> None:
    # given
    server.body = AUTH
    # when
    finding = only(check_honeycomb(honeycomb))
    # then
    assert finding.verdict == "ok"
    assert "team Cruddur, environment prod" in finding.what
    method, path, headers = server.seen[0]
    assert (method, path, headers["X-Honeycomb-Team"]) == ("GET", "/1/auth", CANARY)


def test_a_classic_key_has_no_environment(honeycomb: Setup, server: Server) -> None:
    # given
    server.body = {**AUTH, "environment": {"name": "", "slug": ""}}
    # then
    assert "it is a Classic key" in only(check_honeycomb(honeycomb)).what


def test_a_key_that_may_not_send_events(honeycomb: Setup, server: Server) -> None:
    # given
    server.body = {**AUTH, "api_key_access": {"events": False, "markers": True}}
    # when
    finding = only(check_honeycomb(honeycomb))
    # then
    assert finding.verdict == "problem"
    assert "may not send events" in finding.what


@pytest.mark.parametrize(
    ("answer", "verdict", "said"),
    [
        ((401, {"error": "no such key"}), "problem", "refuses HONEYCOMB_API_KEY (401: no such key"),
        ((429, {"error": "slow down"}), "warning", "too many requests"),
        ((503, "<html>sorry</html>"), "problem", "answers 503: <html>sorry"),
        ((200, "not JSON"), "problem", "answers 200: not JSON"),
        ((302, ""), "problem", "answers 302"),
    ],
)
def test_honeycomb_says_no(
    honeycomb: Setup, server: Server, answer: tuple[int, Any], verdict: str, said: str
) -> None:
    # given
    server.status, server.body = answer
    # when
    finding = only(check_honeycomb(honeycomb))
    # then
    assert (finding.verdict, said in finding.what) == (verdict, True), finding
    assert finding.todo
    assert CANARY not in f"{finding}"


def test_a_key_of_the_other_region_is_thought_of(honeycomb: Setup, server: Server) -> None:
    # given
    server.status = 401
    # then
    assert "HONEYCOMB_REGION=eu" in only(check_honeycomb(honeycomb)).todo


def test_no_part_of_a_key_is_left_where_a_long_answer_is_cut(
    honeycomb: Setup, server: Server
) -> None:
    # given an answer that repeats the key across the place where it is cut
    server.status = 401
    server.body = {"error": f"{'no ' * 60}{CANARY} {'no ' * 60}"}
    # when
    finding = only(check_honeycomb(honeycomb))
    # then
    assert "no no" in finding.what
    assert CANARY[:8] not in finding.what


def test_a_key_is_not_carried_to_another_host(honeycomb: Setup, server: Server) -> None:
    # given
    server.status, server.headers = 302, {"Location": f"{server.url}/elsewhere"}
    # when
    list(check_honeycomb(honeycomb))
    # then
    assert [path for _, path, _ in server.seen] == ["/1/auth"]


def test_nobody_listens(honeycomb: Setup) -> None:
    # given
    setup = with_vendor(honeycomb, "honeycomb", url="http://127.0.0.1:1")
    # when
    finding = only(check_honeycomb(setup))
    # then
    assert finding.verdict == "problem"
    assert finding.what == (
        "Honeycomb does not answer: 127.0.0.1:1 cannot be reached (connection refused)"
    )


def test_a_played_vendor_of_a_stack_that_is_down_is_said_to_be_played(
    make: Callable[..., Setup],
) -> None:
    # given
    setup = make(up=False)
    # then
    for check in (check_honeycomb, check_rollbar):
        finding = only(check(setup))
        assert (finding.verdict, "played by an emulator" in finding.what) == ("ok", True)


def test_the_stand_ins_take_the_keys_that_the_stack_gives_them(played: Setup) -> None:
    assert "team local-team, environment local" in only(check_honeycomb(played)).what
    assert only(check_rollbar(played)).verdict == "ok"


@pytest.mark.parametrize("mode", ["401", "refuse", "500", "reset"])
def test_a_broken_stand_in_for_honeycomb_is_named(
    played: Setup, emulators: Client, mode: Any
) -> None:
    # given
    emulators.break_("honeycomb", mode)
    # when
    finding = only(check_honeycomb(played))
    # then
    assert finding.verdict == "problem"
    assert "emulator for Honeycomb" in finding.what
    assert "make heal" in finding.todo
    assert mode not in {"401", "500"} or mode in finding.what
    assert mode != "401" or "refuses HONEYCOMB_API_KEY" in finding.what


@pytest.mark.parametrize("mode", ["401", "403", "refuse", "500"])
def test_a_broken_stand_in_for_rollbar_is_named(
    played: Setup, emulators: Client, mode: Any
) -> None:
    # given
    emulators.break_("rollbar", mode)
    # when
    finding = only(check_rollbar(played))
    # then
    assert (finding.verdict, "make heal" in finding.todo) == ("problem", True)


def test_a_token_is_taken_when_only_the_empty_item_is_complained_of(
    rollbar: Setup, server: Server
) -> None:
    # given
    server.status, server.body = 422, {"err": 1, "message": "data is missing"}
    # then
    assert only(check_rollbar(rollbar)).verdict == "ok"
    assert [(method, path) for method, path, _ in server.seen] == [
        ("GET", "/api/1/status/ping"),
        ("POST", "/api/1/item/"),
    ]
    assert server.seen[1][2]["X-Rollbar-Access-Token"] == CANARY
    assert "X-Rollbar-Access-Token" not in server.seen[0][2]


@pytest.mark.parametrize(
    ("status", "verdict", "said"),
    [
        (401, "problem", "refuses ROLLBAR_ACCESS_TOKEN (401: no)"),
        (403, "problem", "refuses ROLLBAR_ACCESS_TOKEN (403: no)"),
        (404, "problem", "answers 404"),
        (429, "warning", "too many items"),
        (500, "problem", "answers 500"),
    ],
)
def test_rollbar_says_no(
    rollbar: Setup, server: Server, status: int, verdict: str, said: str
) -> None:
    # given
    server.by_path["/api/1/item/"] = (status, {"err": 1, "message": "no"})
    # when
    finding = only(check_rollbar(rollbar))
    # then
    assert (finding.verdict, said in finding.what) == (verdict, True), finding
    assert CANARY not in f"{finding}"


def test_rollbar_is_not_well(rollbar: Setup, server: Server) -> None:
    # given
    server.by_path["/api/1/status/ping"] = (503, "down")
    # when
    finding = only(check_rollbar(rollbar))
    # then
    assert "its ping answers 503: down" in finding.what
    assert len(server.seen) == 1
