"""Honeycomb's API by way of its emulator, which checks the shape of what it gets."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from emulators import inprocess
from emulators.client import Client
from emulators.core.faults import Mode
from emulators.honeycomb.settings import Settings
from stack.errors import StackError
from stack.settings import ROOT
from stack.vendors.honeycomb.api import (
    Honeycomb,
    SavedQuery,
    load_queries,
    permissions,
    save_queries,
    send_marker,
)

DATASET = "backend-flask"
KEY = Settings().key


@pytest.fixture(scope="module")
def played() -> Iterator[Client]:
    with inprocess.running() as emulators:
        yield emulators


@pytest.fixture
def emulators(played: Client) -> Client:
    """Emulators that are well, and hold one event and nothing that was provisioned."""
    played.heal()
    played.reset(everything=True)
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": DATASET}}]}
    span = {
        "traceId": "1" * 32,
        "spanId": "2" * 16,
        "name": "GET",
        "startTimeUnixNano": "1",
        "endTimeUnixNano": "2",
    }
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    answer = requests.post(
        f"{played.address('honeycomb')}/v1/traces",
        json=body,
        headers={"x-honeycomb-team": KEY},
        timeout=60,
    )
    assert answer.ok, answer.text
    return played


@pytest.fixture
def honeycomb(emulators: Client) -> Honeycomb:
    return Honeycomb(emulators.address("honeycomb"), KEY)


def test_the_key_tells_what_it_may(honeycomb: Honeycomb) -> None:
    given = permissions(honeycomb)
    assert given["markers"] is True
    assert given["slos"] is False


def test_the_three_queries_of_cruddur_are_created_once(
    honeycomb: Honeycomb, emulators: Client
) -> None:
    queries = load_queries(ROOT)
    # when they are saved
    first = save_queries(honeycomb, DATASET, queries)
    # then Honeycomb took each of them, under a name
    assert {saved.action for saved in first} == {"created"}
    assert len({saved.query_id for saved in first}) == 3
    # and a second time creates none
    second = save_queries(honeycomb, DATASET, queries)
    assert {saved.action for saved in second} == {"unchanged"}
    assert [saved.query_id for saved in second] == [saved.query_id for saved in first]
    posts = [each for each in emulators.requests("honeycomb") if each["method"] == "POST"]
    assert len([each for each in posts if "/1/queries/" in each["path"]]) == 3


def test_a_query_that_was_changed_is_created_anew(honeycomb: Honeycomb) -> None:
    # given a saved query
    [first] = save_queries(honeycomb, DATASET, [SavedQuery(name="q", query={"limit": 5})])
    # when it is edited, then the new one is created, and kept from then on
    edited = SavedQuery(name="q", query={"limit": 6})
    [second] = save_queries(honeycomb, DATASET, [edited])
    assert second.action == "created"
    assert second.query_id != first.query_id
    [third] = save_queries(honeycomb, DATASET, [edited])
    assert third.query_id == second.query_id


def test_the_queries_ask_what_the_team_of_cruddur_asked() -> None:
    asked = {
        (calculation["op"], calculation.get("column"))
        for query in load_queries(ROOT)
        for calculation in query.query["calculations"]
    }
    assert {("HEATMAP", "duration_ms"), ("P90", "duration_ms"), ("COUNT", None)} <= asked
    assert ("HEATMAP", "app.result_length") in asked
    assert ["trace.trace_id"] in [query.query.get("breakdowns") for query in load_queries(ROOT)]


def test_a_deploy_is_marked_in_every_dataset(honeycomb: Honeycomb) -> None:
    identifier = send_marker(honeycomb, "v1.2")
    answer = requests.get(
        f"{honeycomb.endpoint}/1/markers/__all__",
        headers={"x-honeycomb-team": KEY},
        timeout=60,
    )
    [marker] = answer.json()
    assert marker["id"] == identifier
    assert (marker["message"], marker["type"]) == ("v1.2", "deploy")


def test_a_wrong_key_is_told_and_not_shown(emulators: Client) -> None:
    wrong = Honeycomb(emulators.address("honeycomb"), "hcaik_nobodys")
    with pytest.raises(StackError, match=r"401.*unknown API key.*HONEYCOMB_API_KEY") as error:
        permissions(wrong)
    assert "nobodys" not in str(error.value) + repr(wrong)


def test_a_dataset_without_events_is_told(honeycomb: Honeycomb) -> None:
    with pytest.raises(StackError, match=r"404.*make verify"):
        save_queries(honeycomb, "nobody", [SavedQuery(name="q", query={})])


@pytest.mark.parametrize(
    ("mode", "told"), [("403", "Manage Markers"), ("429", "wait a minute"), ("500", "500")]
)
def test_a_refusal_is_one_line_that_says_what_to_do(
    honeycomb: Honeycomb, emulators: Client, mode: Mode, told: str
) -> None:
    emulators.break_("honeycomb", mode)
    with pytest.raises(StackError, match=told) as error:
        send_marker(honeycomb, "v1")
    assert "\n" not in str(error.value)


def test_nobody_at_the_address_is_told() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        nobody = Honeycomb(f"http://127.0.0.1:{reserved.getsockname()[1]}", "key")
        with pytest.raises(StackError, match="does not answer"):
            permissions(nobody)


@pytest.mark.parametrize(
    "text",
    ["{", '{"name": "", "query": {}}', '{"query": {}}', '{"name": "q", "query": {}, "nme": 1}'],
)
def test_a_query_file_that_is_wrong_is_named(tmp_path: Path, text: str) -> None:
    shutil.copytree(ROOT / "honeycomb", tmp_path / "honeycomb")
    (tmp_path / "honeycomb/queries/a.json").write_text(text)
    with pytest.raises(StackError, match=r"honeycomb/queries/a\.json: ") as error:
        load_queries(tmp_path)
    assert "\n" not in str(error.value)


def test_the_query_files_are_tidy() -> None:
    for path in (ROOT / "honeycomb/queries").glob("*.json"):
        assert json.loads(path.read_text()).keys() == {"name", "description", "query"}
