"""What of a published config belongs into `.env`: keys, addresses and what is to be filled in."""

from __future__ import annotations

import re
from typing import Any

_VARIABLE = re.compile(r"(?<!\$)\$\{(?:env:)?([A-Za-z_]\w*(?::-[^}]*)?)\}")
PLACEHOLDER = re.compile(
    r"<[^<>]+>|\[[A-Za-z][\w -]+\]|(?<!\$)\$[A-Z][A-Z0-9_]+|\byour\w*|\bmy[-_ ]?org\b|x{3,}|\*{3,}"
    r"|\bfixme\b|\b(api|source)[-_ ]?(key|token)\b|^(domain|\w+ (key|name))$",
    re.IGNORECASE,
)
_SECRET_HEADER = re.compile(r"key|token|team|auth|secret|licen[cs]e|dsn", re.IGNORECASE)
_LOOKS_SECRET = re.compile(r"[\w+/=.:@-]{20,}")
_SECRET_IN_URL = re.compile(r"://.*@|://.*\?|://.*/[\w=-]{20,}")
_SECRET_SETTINGS = frozenset({"token", "password", "client_secret", "key_pem"})
_SCHEME = re.compile(r"(Bearer|Basic|ApiKey|Api-Key|Token) +(?=\S)", re.IGNORECASE)
_OF_SCHEME = {"bearer": "TOKEN", "token": "TOKEN", "basic": "BASIC_AUTH"}


def as_variables(value: Any) -> Any:
    """`value` with `${NAME}` as `${env:NAME}`."""
    if isinstance(value, dict):
        return {key: as_variables(one) for key, one in value.items()}
    if isinstance(value, list):
        return [as_variables(one) for one in value]
    return _VARIABLE.sub(r"${env:\1}", value) if isinstance(value, str) else value


class Keys:
    """Variables in the place of values. `notes`: what is known of those without a default; a key
    that the published file holds is not repeated.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.notes: dict[str, str] = {}
        self._names: dict[str, str] = {}
        """By the value that each stands for: equal values share a variable."""

    def replace(self, vendor: str, value: Any, *path: str) -> Any:
        """`value`, which stands at `path`, with variables for keys, placeholders and addresses.
        They are named after the vendor and the setting. Those that there are stay.
        """
        if isinstance(value, dict):
            return {key: self.replace(vendor, one, *path, str(key)) for key, one in value.items()}
        if isinstance(value, list):
            return [self.replace(vendor, one, *path) for one in value]
        return self._text(vendor, value, path) if isinstance(value, str) else value

    def _text(self, vendor: str, value: str, path: tuple[str, ...]) -> str:
        text = str(as_variables(value))
        setting = path[-1] if path else ""
        if re.fullmatch(r"\$\{env:[^}]*\}", text):
            return text
        secret = _is_secret(path, text)
        # Elsewhere <…> and […] may be parts of a regular expression.
        filled_in = "headers" in path or setting.endswith(("endpoint", "_name"))
        to_fill_in = (filled_in or secret) and PLACEHOLDER.search(text) is not None
        if setting.endswith("endpoint"):
            name = self._name(vendor, setting, value)
            if not (secret or to_fill_in or "}" in text):
                return f"${{env:{name}:-{value}}}"
            self._note(name, setting, "" if secret else value)
            return f"${{env:{name}}}"
        if "${env:" in text or not (secret or to_fill_in):
            return text
        scheme = _SCHEME.match(text)
        rest = text[scheme.end() :] if scheme else text
        word = _OF_SCHEME.get(scheme[1].lower(), "API_KEY") if scheme else setting
        name = self._name(vendor, word, rest)
        shown = PLACEHOLDER.search(rest) and not _LOOKS_SECRET.fullmatch(rest)
        self._note(name, setting, rest if shown else "")
        return f"{scheme[0] if scheme else ''}${{env:{name}}}"

    def _note(self, name: str, setting: str, shown: str) -> None:
        self.notes.setdefault(name, shown or f"{setting} in {self.file}")

    def _name(self, vendor: str, setting: str, value: str) -> str:
        if value not in self._names:
            first = re.sub(r"[^A-Z0-9]+", "_", vendor.upper())
            first = f"OTLP_{first}" if first[:1].isdigit() else first
            words = re.split(r"[^A-Z0-9]+", setting.upper())
            more = (one for one in words if one not in {"X", first, ""})
            name = wanted = "_".join((first, *more))
            number = 2
            while name in self._names.values():
                name, number = f"{wanted}_{number}", number + 1
            self._names[value] = name
        return self._names[value]


def _is_secret(path: tuple[str, ...], value: str) -> bool:
    if _SECRET_IN_URL.search(value):
        return True
    if "headers" in path[:-1]:
        return bool(_SECRET_HEADER.search(path[-1]) or _LOOKS_SECRET.fullmatch(value))
    return bool(path) and path[-1] in _SECRET_SETTINGS
