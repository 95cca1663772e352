"""Takes secrets out of what a service prints, and of what it sends past the collector.

The patterns are the collector's (collector/redaction.yaml) and the page's: `make patterns` makes
patterns.json of them, and one list of examples goes through all three.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

MASK = "****"
LEFT_OUT = "**** (too much to look at)"

LONGEST = 65_536
"""Characters of a text that are kept, as many as the collector's receiver keeps bytes. It is the
caller that waits: 0.1 s for so many, and 15 s for a line of 1.5 MB before it was cut."""

MOST_CHARACTERS = 4 * LONGEST
MOST_VALUES = 10_000
"""Of one mapping or list with all that it holds."""

DEEPEST = 32
"""Levels of lists and mappings; what is below goes, unseen."""

# An IAM token that is the password of a database's URL has 1,000 characters before its @.
_LONGEST_SECRET = 4096
_LEAST_CARD = 10**13
_MOST_CARD = 10**19
_DIGIT = re.compile(r"[0-9]")

_PATTERNS: dict[str, list[Any]] = json.loads(
    Path(__file__).with_name("patterns.json").read_text(encoding="utf-8")
)

NAMES: tuple[str, ...] = tuple(_PATTERNS["names"])
"""Names whose values are secret, whatever they hold."""

VALUES: tuple[str, ...] = tuple(_PATTERNS["values"])
"""What is masked in any text: the group `secret`; `mixed` with a digit; `card`, `iban` with
right check digits; `ssn`; else all.
"""

_FLAGS = re.IGNORECASE | re.ASCII
_names = re.compile("|".join(f"(?:{name.removeprefix('(?i)')})" for name in NAMES), _FLAGS)
_values = [re.compile(pattern, re.ASCII) for pattern in VALUES]

# To search is slow: each pattern is tried only where one of these is in the text, in small letters.
_NAMED = (
    "pass", "pwd", "secret", "token", "jwt", "cookie", "auth", "cred", "ssn", "security", "key",
    "code", "sess", "team", "pin", "otp", "cvv", "cvc", "sig", "sid", "identified",
)  # fmt: skip
_SIGNS: dict[str, tuple[str, ...]] = {
    r"\b(?:(?:mysql|": ("mysql", "mariadb", "sshpass", "redis-cli", "login"),
    r"""[\s"',](?:-(?:[fik""": ("u",),
    r"(?i)bearer": ("bearer",),
    r"Basic ": ("basic ",),
    r"(?i)(?::|%3A)(?://|": ("//", "%2f%2f"),
    r"eyJ": ("eyj",),
    r"(?:AKIA|ASIA)": ("akia", "asia"),
    r"(?:gh[pousr]|": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "npm_", "hf_"),
    r"(?:github_pat|": ("_",),
    r"(?:glpat|xox": ("glpat-", "xox", "xapp-", "pypi-", "xaat-", "nrak-"),
    r"[0-9A-Fa-f]{32,40}NRAL": ("nral",),
    r"hooks\.slack": ("hooks.slack.com",),
    r"hc[a-z]{2,3}_": ("hc",),
    r"(?:\b|%2[26C7]|%3[BF])(?:sk-|": ("sk-", "aiza", "ya29.", "sg.", "hvs."),
    r"-----BEGIN": ("-----begin",),
    r"[A-Za-z0-9._%+-]{1,64}(?:@|": ("@", "%40"),
}
_gates: dict[re.Pattern[str], tuple[str, ...] | re.Pattern[str]] = {
    pattern: signs
    for pattern in _values
    for beginning, signs in _SIGNS.items()
    if pattern.pattern.startswith(beginning)
}
for _group, _sign in {"card": r"\d{4}", "iban": r"[A-Z]{2}\d\d", "ssn": r"\d-\d\d-\d"}.items():
    [_pattern] = [pattern for pattern in _values if _group in pattern.groupindex]
    _gates[_pattern] = re.compile(_sign, re.ASCII)

# What gitleaks knows of vendors' tokens.
_BY_KEYWORD: dict[str, list[str]] = {}
for _rule in _PATTERNS["rules"]:
    for _keyword in _rule["keywords"]:
        _BY_KEYWORD.setdefault(_keyword, []).append(_rule["pattern"])
# The shortest token that a rule knows has twelve characters.
_LONG_ENOUGH = re.compile(r"[\w.~+/=@|%:-]{12}", re.ASCII)


# Routes, addresses and names come again with every request: what was found to hold nothing is not
# searched again (12 µs a value). Never what did hold a secret: this is memory.
_harmless: set[str] = set()
_MOST_HARMLESS = 4096
_LONGEST_HARMLESS = 128


def clean_text(text: str) -> str:
    """`text` with `****` in place of each secret; quotes around one stay.

    What is longer than `LONGEST` is cut, and says so.
    """
    if text in _harmless:
        return text
    end = len(text)
    if end > LONGEST:
        # A secret that begins before the cut is seen whole, or as far as it can matter.
        end, text = LONGEST, text[: LONGEST + _LONGEST_SECRET]
        return f"{_masked(text, _found(text), end)} (cut here: {LONGEST} characters are kept)"
    found = _found(text)
    if found:
        return _masked(text, found, end)
    if len(text) <= _LONGEST_HARMLESS:
        if len(_harmless) >= _MOST_HARMLESS:
            _harmless.clear()
        _harmless.add(text)
    return text


def _found(text: str) -> list[tuple[int, int]]:
    """Where secrets are, in order; one may overlap the next."""
    lowered = text.lower()
    return sorted(
        span
        for pattern in (*_values_for(text, lowered), *_rules_for(text, lowered))
        for match in pattern.finditer(text)
        if (span := _secret(match)) is not None
    )


def _values_for(text: str, lowered: str) -> Iterator[re.Pattern[str]]:
    named = any(name in lowered for name in _NAMED)
    for pattern in _values:
        gate = _gates.get(pattern)
        if gate is None:
            tried = named
        elif isinstance(gate, re.Pattern):
            tried = gate.search(text) is not None
        else:
            tried = any(sign in lowered for sign in gate)
        if tried:
            yield pattern


def _rules_for(text: str, lowered: str) -> list[re.Pattern[str]]:
    """Those of gitleaks' rules whose keywords are in the text: mostly none."""
    if not _LONG_ENOUGH.search(text):
        return []
    rules = (rule for keyword in _BY_KEYWORD if keyword in lowered for rule in _BY_KEYWORD[keyword])
    return [_compiled(rule) for rule in dict.fromkeys(rules)]


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Most are never needed, and all would take 100 ms of a service's start."""
    return re.compile(pattern, re.ASCII)


def _masked(text: str, found: Iterable[tuple[int, int]], end: int) -> str:
    """The text up to `end`."""
    parts: list[str] = []
    done = 0
    for start, stop in found:
        if start >= end:
            break
        if start >= done:
            parts += [text[done:start], MASK]
        done = max(done, stop)
    return "".join((*parts, text[done:end]))


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether what stands under this name is a secret, whatever it is."""
    return _names.search(name) is not None


@dataclass
class _Allowance:
    """What one call may look at."""

    values: int = MOST_VALUES
    characters: int = MOST_CHARACTERS

    def spend(self, characters: int) -> bool:
        self.values -= 1
        self.characters -= min(characters, LONGEST)
        return self.values >= 0 and self.characters >= 0


def clean(value: Any) -> Any:
    """A copy with the secrets masked, by name and by form.

    Text, numbers, mappings and sequences are looked into; anything else is kept as it is. What is
    too deep or too much to look at goes, unseen.
    """
    return _cleaned(value, DEEPEST, _Allowance())


def _cleaned(value: Any, depth: int, allowance: _Allowance) -> Any:
    size = len(value) if isinstance(value, (str, bytes, bytearray)) else 0
    if not allowance.spend(size):
        return LEFT_OUT
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return _cleaned_items(value, depth - 1, allowance) if depth else MASK
    if isinstance(value, bytes):
        value = value[: LONGEST + _LONGEST_SECRET].decode(errors="replace")
    if isinstance(value, str):
        return clean_text(value)
    # A card that was taken for a number.
    if (
        isinstance(value, int)
        and _LEAST_CARD <= value < _MOST_CARD
        and clean_text(str(value)) == MASK
    ):
        return MASK
    return value


def _cleaned_items(value: Any, depth: int, allowance: _Allowance) -> Any:
    if isinstance(value, Mapping):
        held: dict[Any, Any] = {}
        for name, item in value.items():
            secret = isinstance(name, str) and is_secret_name(name)
            held[name] = MASK if secret else _cleaned(item, depth, allowance)
            if held[name] is LEFT_OUT:
                break
        return held
    items: list[Any] = []
    for item in value:
        items.append(_cleaned(item, depth, allowance))
        if items[-1] is LEFT_OUT:
            break
    return items


def _secret(match: re.Match[str]) -> tuple[int, int] | None:
    groups = match.re.groupindex
    if "card" in groups:
        return match.span("card") if _checks(match["card"]) else None
    if "iban" in groups:
        return match.span("iban") if _iban_checks(match["iban"]) else None
    if "ssn" in groups:
        return match.span("ssn")
    if "mixed" in groups:
        return match.span("mixed") if _DIGIT.search(match["mixed"]) else None
    if "secret" not in groups:
        return match.span()
    start, end = match.span("secret")
    value = match["secret"]
    inner = value.lstrip("\\")
    if inner[:1] in {'"', "'"}:
        start += len(value) - len(inner) + 1
        if end > start and match.string[end - 1] == inner[0]:
            end -= 1
            while len(inner) < len(value) and end > start and match.string[end - 1] == "\\":
                end -= 1
    return (start, end) if start < end else None


def _checks(card: str) -> bool:
    """Whether Luhn's check digit is right: it is in every card, and in one of ten numbers."""
    digits = [int(digit) for digit in re.findall(r"[0-9]", card.replace("%20", ""))]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _iban_checks(iban: str) -> bool:
    """Whether its two check digits are right: they are in one of 97 texts of that form."""
    plain = re.sub(r"%20|[ +]", "", iban)
    return int("".join(str(int(one, 36)) for one in plain[4:] + plain[:4])) % 97 == 1
