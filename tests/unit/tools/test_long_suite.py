"""How the tests of a long suite are chosen."""

from __future__ import annotations

import pytest

from tools.long_suite import expression


@pytest.mark.parametrize(
    ("only", "chosen"),
    [
        ("keys", "keys"),
        ("came too late", "came and too and late"),
        ("hang or slow", "hang or slow"),
        ("xray and not 429", "xray and not 429"),
    ],
)
def test_words_are_all_to_be_in_the_name(only: str, chosen: str) -> None:
    assert expression(only) == chosen
