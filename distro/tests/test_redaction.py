"""The services' cleaner does with the common examples what the collector does with them."""

from __future__ import annotations

import json
import logging
import queue
import random
import re
import time
from pathlib import Path

import pytest
import rollbar
from otel_stack_distro import redaction
from otel_stack_distro.json_logging import JsonFormatter
from otel_stack_distro.redaction import clean, clean_text, is_secret_name
from otel_stack_distro.rollbar import with_trace

from stack.settings import ROOT
from tests.corpus import HIDDEN_NAMES, KEPT, MASKED, SHOWN_NAMES
from tests.security import canary_values
from tools.secret_patterns import MADE, made_patterns


@pytest.mark.parametrize(("text", "cleaned"), MASKED)
def test_a_secret_is_masked(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_secret_is_kept(text: str) -> None:
    assert clean_text(text) == text


def test_a_pattern_is_left_out_only_where_it_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(11)
    made = [one.text for one in canary_values.secrets(rng, 4000)]
    texts = [*(text for text, _ in MASKED), *KEPT, *made]
    assert len(redaction._gates) == len(redaction._SIGNS) + 3
    quick = [clean_text(text) for text in texts]

    monkeypatch.setattr(redaction, "_values_for", lambda *_: redaction._values)

    assert quick == [clean_text(text) for text in texts]


@pytest.mark.parametrize("file", MADE, ids=lambda file: file.parts[1])
def test_the_services_and_the_page_clean_by_the_collectors_patterns(file: Path) -> None:
    """One list of examples goes through all three: here, in the page's tests, the collector's."""
    assert (ROOT / file).read_text(encoding="utf-8") == made_patterns(ROOT), "make patterns"


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

    item = with_trace({"access_token": "the key", "data": data})

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


SLOWEST_SECONDS = 3.0
"""Of the processor's, for what takes 0.1 to 0.2: this machine may be busy."""


def seconds_to_clean(value: object) -> float:
    began = time.process_time()
    clean(value)
    return time.process_time() - began


@pytest.mark.parametrize(
    ("head", "repeated"),
    [
        ("", "the quick brown fox "),
        ("", '{"id": 12, "time": "2026-11-21T11:11:11.123456+00:00", "path": "/api?x=1"} '),
        ("", "token="),
        ("-----BEGIN ", "PRIVATE KEY "),
        ("", "a."),
        ("", "a@"),
        ("key=", "%2"),
        ("", "mysql -h "),
        ("", "f('token"),
        ("", "token: a"),
        ("", "adafruit "),
        ("", "123-45-"),
        ("", "f"),
        ("", "é"),
    ],
)
def test_a_line_of_megabytes_holds_nobody_up(head: str, repeated: str) -> None:
    """One of 1.5 MB took 15 s, and the caller waited."""
    line = head + repeated * (1_500_000 // len(repeated))

    assert seconds_to_clean(line) < SLOWEST_SECONDS
    # and ten times as much no longer
    assert seconds_to_clean(line * 10) < SLOWEST_SECONDS


def test_what_is_cut_says_so_and_is_as_long_as_the_collector_keeps() -> None:
    whole = "x " * (redaction.LONGEST // 2)
    cut = clean_text(whole + "and more")

    assert clean_text(whole) == whole
    assert cut == whole + " (cut here: 65536 characters are kept)"


@pytest.mark.parametrize(
    ("secret", "cleaned"),
    # `code=` alone is one only where the text begins.
    [one for one in MASKED if re.match(r"(?!code=)(?s:.{0,119})$", one[0]) and "s3cret" in one[0]],
)
def test_a_secret_is_masked_wherever_the_line_is_cut(
    monkeypatch: pytest.MonkeyPatch, secret: str, cleaned: str
) -> None:
    monkeypatch.setattr(redaction, "LONGEST", 200)
    for seen in range(1, len(secret)):
        before = "x" * (199 - seen) + "\n"
        kept = clean_text(f"{before}{secret}\n{'y' * 5000}")

        assert kept.startswith(before)
        begun = kept.removeprefix(before).removesuffix(" (cut here: 200 characters are kept)")
        # What is kept of it is the beginning of what is kept of the whole.
        assert f"{cleaned}\n".startswith(begun.removesuffix("****")), (seen, kept)


def test_what_holds_itself_twice_ends() -> None:
    twice: list[object] = ["token=s3cret"]
    twice += [twice, twice]

    assert seconds_to_clean(twice) < SLOWEST_SECONDS
    assert "s3cret" not in str(clean(twice))


@pytest.mark.parametrize(
    "value",
    [
        ["x" * 60_000] * 1000,
        {str(number): "token=s3cret " * 5000 for number in range(1000)},
        list(range(1_000_000)),
        [[["token=s3cret"] * 100] * 100] * 100,
        [b"token=s3cret " * 200_000] * 100,
    ],
    ids=["texts", "names", "numbers", "lists", "bytes"],
)
def test_what_holds_much_is_looked_at_so_far_and_what_is_left_out_is_said(value: object) -> None:
    assert seconds_to_clean(value) < SLOWEST_SECONDS

    cleaned = str(clean(value))

    assert redaction.LEFT_OUT in cleaned
    assert "s3cret" not in cleaned


def test_a_number_that_python_does_not_print_is_kept() -> None:
    assert clean({"n": 10**5000}) == {"n": 10**5000}
