"""How keys are called and what they look like, so that a typo is found before data is lost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from stack.errors import StackError, quoted
from stack.vendors import DECLARED

SECRET_NAME = re.compile(r"(KEY(_ID)?|TOKEN|SECRET|PASSWORD|CREDENTIALS|HEADERS)$")
"""How the names of keys end, those of the vendors' fragments too."""

_LIKE_A_KEY = re.compile(r"hc[a-z]{2}[a-z]?_\w{20,}|A[KS]IA[A-Z0-9]{16}|(?=\D*\d)[A-Za-z0-9]{30,}")
"""Keys that are known, and long words of letters and digits: no port, path or name is one."""


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
    """Raise StackError for the first key that does not look like one of its vendor's."""
    for vendor in DECLARED:
        wanted = vendor.shapes if vendor.shapes_matter(values) else {}
        for name, shape in wanted.items():
            if name in values and not shape.pattern.fullmatch(values[name]):
                raise StackError(
                    f"{name} does not look like one ({origins[name]}, "
                    f"{len(values[name])} characters)",
                    shape.hint,
                )
