"""Keeps every key out of what is shown, whoever repeated it: a vendor, a log, an exception."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import SecretStr

from stack.errors import StackError
from stack.finding import Finding
from stack.settings import Settings, load_settings
from stack.vendors import Vendor, public_keys, vendors

HIDDEN = "****"
SHORTEST = 8
"""Shorter values would hide words of the sentences themselves."""

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSW|CREDENTIAL|HEADERS)(?!.*_FILE$)", re.IGNORECASE)
_LOOKS_SECRET = re.compile(
    r"hc[a-z](ik|ic|lk|mk|uk|nk|ak|k)_[A-Za-z0-9]{20,}|A[KS]IA[A-Z0-9]{16}"
    r"|(?<=[Bb]earer )[A-Za-z0-9._~+/=-]{8,}|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
)


class Redactor:
    """Replaces the values that it was given, and whatever looks like a key."""

    def __init__(self, values: Iterable[str]) -> None:
        known = sorted({value for value in values if len(value) >= SHORTEST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, text: str) -> str:
        if self._known:
            text = self._known.sub(HIDDEN, text)
        return _LOOKS_SECRET.sub(HIDDEN, text)

    def finding(self, finding: Finding) -> Finding:
        return replace(finding, what=self.text(finding.what), todo=self.text(finding.todo))


def redactor(root: Path, environ: Mapping[str, str]) -> Redactor:
    """Hides the keys of `root/.env` and the environment; where `.env` cannot be read, the latter's
    and what looks like one.
    """
    try:
        settings = load_settings(root, environ)
    except StackError:
        return Redactor(secrets_of(None, (), environ))
    return Redactor(secrets_of(settings, vendors(settings, "127.0.0.1"), environ))


def secrets_of(
    settings: Settings | None, vendors: Iterable[Vendor], environ: Mapping[str, str]
) -> set[str]:
    """Every value that must not be shown: keys in settings, vendors' variables, the environment."""
    found = {value for name, value in environ.items() if _SECRET_NAME.search(name)}
    for vendor in vendors:
        for variables in (vendor.collector, vendor.app):
            found |= {value for name, value in variables.items() if _SECRET_NAME.search(name)}
    if settings is not None:
        for own in settings.of_vendors:
            found |= {value.get_secret_value() for _, value in own if isinstance(value, SecretStr)}
        shown = settings.access.request_options().get("headers", {})
        found |= {value.rpartition(" ")[2] for value in shown.values()}
        for variables in (settings.collector, settings.config_values):
            found |= {value for name, value in variables.items() if _SECRET_NAME.search(name)}
    return found - public_keys()
