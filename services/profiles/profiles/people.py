"""The people that profiles-flask knows: people.json beside this module."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from urllib.parse import quote


@dataclass(frozen=True)
class Person:
    """`picture`: a data: URL, so that a page needs no second request for it."""

    display_name: str
    picture: str


def load_people() -> dict[str, Person]:
    """People by handle. Raises ValueError for a file that is not what it has to be."""
    text = files("profiles").joinpath("people.json").read_text(encoding="utf-8")
    try:
        return {
            handle: Person(entry["display_name"], _picture(entry["display_name"], entry["color"]))
            for handle, entry in json.loads(text).items()
        }
    except (KeyError, TypeError, json.JSONDecodeError) as wrong:
        raise ValueError(f"people.json is not as it has to be ({wrong!r})") from None


def _picture(name: str, color: str) -> str:
    """The initials on a disc."""
    initials = "".join(word[0] for word in name.split()[:2]).upper()
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
        f'<circle cx="32" cy="32" r="32" fill="{color}"/>'
        '<text x="32" y="33" fill="#fff" font-family="sans-serif" font-size="26" '
        f'text-anchor="middle" dominant-baseline="middle">{initials}</text></svg>'
    )
    return f"data:image/svg+xml,{quote(svg)}"
