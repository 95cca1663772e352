"""Rollbar by pyrollbar, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import requests

from emulators.client import Client

TOKEN = "local-rollbar-token"

# pyrollbar keeps its settings in its module, so each case has a process of its own.
REPORT = """
import sys, rollbar
url, token, trace_id = sys.argv[1:]
rollbar.init(token, "local", endpoint=url, handler="blocking", allow_logging_basic_config=False,
             code_version="abc")
def add(payload, **kw):
    payload["data"].setdefault("custom", {})["trace_id"] = trace_id
    return payload
rollbar.events.add_payload_handler(add)
rollbar.report_message("hello", "warning")
try:
    1 / 0
except ZeroDivisionError:
    print(rollbar.report_exc_info())
"""


@pytest.fixture(scope="module")
def url(shared: Client) -> str:
    return f"{shared.address('rollbar')}/api/1/"


def post(url: str, payload: Any, token: str | None = TOKEN) -> requests.Response:
    headers = {"X-Rollbar-Access-Token": token} if token else {}
    return requests.post(f"{url}item/", json=payload, headers=headers, timeout=60)


def item(**changes: Any) -> dict[str, Any]:
    data = {"environment": "local", "body": {"message": {"body": "hello"}}}
    return {"data": {**data, **changes}}


def test_pyrollbars_items_are_found_by_trace_id_and_uuid(
    emulators: Client, url: str, trace_id: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REPORT, url, TOKEN, trace_id],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )

    message, raised = emulators.holds("rollbar", trace_id)["items"]

    assert message["level"] == "warning"
    assert message["body"]["message"]["body"] == "hello"
    assert raised["body"]["trace"]["exception"]["class"] == "ZeroDivisionError"
    assert raised["code_version"] == "abc"
    assert emulators.rollbar_items(done.stdout.strip()) == [raised]


def test_the_ping_answers_pong(url: str) -> None:
    assert requests.get(f"{url}status/ping", timeout=60).text == "pong"


def test_the_uuid_comes_back(emulators: Client, url: str, trace_id: str) -> None:
    answer = post(url, item(uuid=trace_id, custom={"otel": {"trace_id": trace_id}}))
    assert answer.json() == {"err": 0, "result": {"id": None, "uuid": trace_id}}
    assert len(emulators.rollbar_items(trace_id)) == 1
    assert len(emulators.holds("rollbar", trace_id)["items"]) == 1


def test_the_token_may_be_in_the_body(url: str) -> None:
    assert post(url, {**item(), "access_token": TOKEN}, token=None).ok


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("wrong", 403)])
def test_only_the_known_token_gets_in(url: str, token: str | None, status: int) -> None:
    answer = post(url, item(), token)
    assert answer.status_code == status
    assert answer.json()["err"] == 1
    assert "access token" in answer.json()["message"]


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        ({}, 422),
        ([], 422),
        ({"data": {"body": {"message": {"body": "x"}}}}, 422),
        (item(environment=""), 422),
        (item(body={}), 422),
        (item(body={"message": {"body": ""}}), 422),
        (item(body={"message": {"body": "x"}, "crash_report": {}}), 422),
        (item(body={"trace": {"frames": [{}], "exception": {"class": "X"}}}), 422),
        (item(level="loud"), 422),
        (item(person={"username": "ada"}), 422),
        (item(person={"id": "x" * 41}), 422),
        (item(timestamp="now"), 422),
        (item(title="x" * 1_100_000), 413),
    ],
)
def test_a_bad_payload_is_refused(url: str, payload: Any, status: int) -> None:
    assert post(url, payload).status_code == status


def test_no_json_is_400(url: str) -> None:
    answer = requests.post(
        f"{url}item/", data=b"{", headers={"X-Rollbar-Access-Token": TOKEN}, timeout=60
    )
    assert answer.status_code == 400


def test_throttling_has_rollbars_headers(emulators: Client, url: str) -> None:
    emulators.break_("rollbar", "429", retry_after=9)
    answer = post(url, item())
    assert answer.status_code == 429
    assert answer.headers["X-Rate-Limit-Remaining-Seconds"] == "9"
