"""The services' cleaner does with the common examples what the collector does with them."""

from __future__ import annotations

import pytest
from serving.redaction import clean, clean_text, is_secret_name

from tests.corpus import HIDDEN_NAMES, KEPT, MASKED, SHOWN_NAMES


@pytest.mark.parametrize(("text", "cleaned"), MASKED)
def test_a_secret_is_masked(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_secret_is_kept(text: str) -> None:
    assert clean_text(text) == text


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
