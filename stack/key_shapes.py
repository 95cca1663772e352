"""How keys are called and what they look like, so that a typo is found before data is lost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from stack.errors import StackError, quoted

SECRET_NAME = re.compile(r"(KEY(_ID)?|TOKEN|SECRET|PASSWORD|CREDENTIALS|HEADERS)$")
"""How the names of keys end, those of the vendors' fragments too."""

_LIKE_A_KEY = re.compile(r"hc[a-z]{2}[a-z]?_\w{20,}|A[KS]IA[A-Z0-9]{16}|(?=\D*\d)[A-Za-z0-9]{30,}")
"""Keys that are known, and long words of letters and digits: no port, path or name is one."""

KEY_SHAPES = {
    "HONEYCOMB_API_KEY": (
        re.compile(r"hc[a-z]{2}k_[a-z0-9]{58}|hc[a-z]ic_[a-z0-9]{58}|[0-9a-f]{32}|[A-Za-z0-9]{22}"),
        "an ingest key begins with hcaik_ and has 64 characters, older ones have 22 or 32",
    ),
    "ROLLBAR_ACCESS_TOKEN": (
        re.compile(r"[A-Za-z0-9]{32,160}"),
        "a project's post_server_item token has 32 letters and digits or more",
    ),
    "ROLLBAR_CLIENT_TOKEN": (
        re.compile(r"[A-Za-z0-9]{32,160}"),
        "a project's post_client_item token has 32 letters and digits or more",
    ),
    "AWS_ACCESS_KEY_ID": (
        re.compile(r"A[KS]IA[A-Z0-9]{16}"),
        "it begins with AKIA or ASIA and has 20 characters",
    ),
    "AWS_SECRET_ACCESS_KEY": (
        re.compile(r"[A-Za-z0-9/+=]{40}"),
        "it has 40 characters",
    ),
    "AWS_REGION": (
        re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]"),
        "for example eu-central-1",
    ),
}
"""What each key looks like, so that a typo is found before the data is lost. By name: the
pattern, and what to tell who got it wrong. The wrong value itself is never shown."""


def check_misplaced(
    names: Iterable[str], values: Mapping[str, str], origins: Mapping[str, str]
) -> None:
    """Refuse a key under a name that is none's: it would be printed, or stand on every span."""
    for name in sorted({*names} - {"AWS_PROFILE"}):
        if not SECRET_NAME.search(name) and _LIKE_A_KEY.fullmatch(values.get(name, "")):
            raise StackError(
                f"{name} cannot be {quoted(values[name])} ({origins[name]}): it looks like a key",
                "write it after the key's own name",
            )


def check_shapes(values: Mapping[str, str], origins: Mapping[str, str]) -> None:
    for name, (shape, looks_like) in KEY_SHAPES.items():
        if name.startswith("AWS_") and values.get("AWS_TELEMETRY") != "live":
            continue  # a shell's own AWS variables are nothing to this stack
        if name in values and not shape.fullmatch(values[name]):
            raise StackError(
                f"{name} does not look like one ({origins[name]}, {len(values[name])} characters)",
                looks_like,
            )
