"""A fresh key for every vendor, and where one of them can be read."""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Mapping

from stack.fragments import load, names, variables
from stack.key_shapes import SECRET_NAME

LOWER = string.ascii_lowercase + string.digits
UPPER = string.ascii_uppercase + "234567"

INSTANCE = "123456"
"""Grafana Cloud's user name, which is sent together with its key."""


def word(length: int, alphabet: str = LOWER) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def fresh_keys() -> dict[str, str]:
    """Each of its vendor's shape, by the setting's name; those of the fragments are found in them,
    so that a new one is among them.
    """
    own = {
        "HONEYCOMB_API_KEY": f"hcaik_{word(58)}",
        "ROLLBAR_ACCESS_TOKEN": word(32),
        "AWS_ACCESS_KEY_ID": f"AKIA{word(16, UPPER)}",
        "AWS_SECRET_ACCESS_KEY": word(40),
        "AWS_SESSION_TOKEN": word(120),
        "GRAFANA_CLOUD_TOKEN": f"glc_{word(60)}",
    }
    named = {name for fragment in names() for name in variables(load(fragment))}
    return own | {name: word(40) for name in sorted(named - {*own}) if SECRET_NAME.search(name)}


def keys_in(text: str, keys: Mapping[str, str]) -> list[str]:
    """The names of the keys that `text` holds, plain or in base64."""
    return [name for name, key in keys.items() if any(form in text for form in _forms(key))]


def _forms(key: str) -> list[str]:
    pairs = [key, f"{INSTANCE}:{key}"]
    encoded = [base64.b64encode(pair.encode()).decode().rstrip("=") for pair in pairs]
    # The last letter of base64 depends on what follows.
    return [key, *(one[:-1] for one in encoded)]
