"""The services' cleaner does with the common examples what the collector does with them."""

from __future__ import annotations

import json
import logging
import queue
import re

import pytest
import rollbar
from cruddur.error_reports import _with_trace
from serving import redaction
from serving.json_logging import JsonFormatter
from serving.redaction import clean, clean_text, is_secret_name

from stack.settings import ROOT
from tests.corpus import HIDDEN_NAMES, KEPT, MASKED, SHOWN_NAMES


@pytest.mark.parametrize(("text", "cleaned"), MASKED)
def test_a_secret_is_masked(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_secret_is_kept(text: str) -> None:
    assert clean_text(text) == text


def test_the_page_has_the_same_patterns() -> None:
    """What it sends to Rollbar passes no collector. Its own tests hold it against the examples."""
    page = json.loads((ROOT / "services/frontend/src/telemetry/secrets.json").read_text())
    assert page == {"names": list(redaction.NAMES), "values": list(redaction.VALUES)}


def test_names_decide() -> None:
    assert [name for name in HIDDEN_NAMES if not is_secret_name(name)] == []
    assert [name for name in SHOWN_NAMES if is_secret_name(name)] == []


def test_it_goes_down_into_what_it_is_given() -> None:
    given = {
        "request": {"headers": [{"Cookie": "s3cret"}, ("token=s3cret", b"token=s3cret")]},
        "card": 4111111111111111,
        "none": None,
        "count": 12,
        "ratio": 0.5,
        7: True,
    }

    assert clean(given) == {
        "request": {"headers": [{"Cookie": "****"}, ["token=****", "token=****"]]},
        "card": "****",
        "none": None,
        "count": 12,
        "ratio": 0.5,
        7: True,
    }


def test_what_holds_itself_ends() -> None:
    loop: list[object] = ["token=s3cret"]
    loop.append(loop)

    assert "s3cret" not in str(clean(loop))


def test_a_printed_line_holds_no_secret() -> None:
    """CloudWatch gets the same lines by watchtower."""
    error = ValueError("no token=s3cret")
    record = logging.makeLogRecord({"msg": "GET %s", "args": ("/?code=s3cret&n=1",)})
    record.exc_info = (ValueError, error, None)
    vars(record).update({"password": "s3cret", "form": {"n": 1, "pin": "s3cret"}, "who": _Caller()})

    line = JsonFormatter("backend-flask").format(record)

    assert "s3cret" not in line
    parsed = json.loads(line)
    assert parsed["message"] == "GET /?code=****&n=1"
    assert parsed["form"] == {"n": 1, "pin": "****"}
    assert parsed["exception"].endswith("ValueError: no token=****")


class _Caller:
    def __str__(self) -> str:
        return "caller with api_key=s3cret"


def test_an_item_for_rollbar_holds_no_secret_but_the_key_that_it_is_sent_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It is there once pyrollbar is set up.
    monkeypatch.setattr(rollbar, "_threads", queue.Queue(), raising=False)
    data = {
        "uuid": "68c1f07c-5d1f-4f2e-9a3b-1e8f0c7a9d2b",
        "request": {
            "url": "http://h/?token=s3cret&page=2",
            "headers": {"Authorization": "Bearer s3cret", "X-Honeycomb-Team": "s3cret"},
            "POST": {"client_secret": "s3cret", "handle": "worf"},
        },
        "body": {"trace": {"exception": {"message": "no password 's3cret' for bob@mail.example"}}},
    }

    item = _with_trace({"access_token": "the key", "data": data})

    assert isinstance(item, dict)
    assert item["access_token"] == "the key"
    assert item["data"]["request"]["url"] == "http://h/?token=****&page=2"
    assert item["data"]["request"]["POST"] == {"client_secret": "****", "handle": "worf"}
    assert item["data"]["uuid"] == data["uuid"]
    assert "s3cret" not in str(item)
    assert "bob@mail.example" not in str(item)


@pytest.mark.parametrize("number", range(len(redaction.VALUES)))
def test_without_any_one_pattern_an_example_gets_through(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(redaction, "_harmless", set())
    others = [pattern for at, pattern in enumerate(redaction._values) if at != number]
    monkeypatch.setattr(redaction, "_values", others)

    assert [text for text, cleaned in MASKED if clean_text(text) != cleaned]


@pytest.mark.parametrize("number", range(len(redaction.NAMES)))
def test_without_any_one_pattern_of_names_a_name_gets_through(number: int) -> None:
    others = [pattern for at, pattern in enumerate(redaction.NAMES) if at != number]

    assert [name for name in HIDDEN_NAMES if not any(re.search(one, name) for one in others)]
