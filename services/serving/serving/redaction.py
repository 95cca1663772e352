"""Takes secrets out of what a service prints, and of what it sends past the collector.

The patterns are those of `redaction` in collector/otel-config.yaml, and of the page
(services/frontend/src/telemetry/secrets.json), and mean the same there: tests hold the three equal,
and one list of examples goes through all.
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

NAMES = (
    (
        r"(?i)(passw(or)?ds?([-_.]?([12]|confirm(ation)?|hash))?|passphrase|passcode|secrets?|token|jwt|"
        r"cookies?|authorization|signature|credentials?|creds|social[-_.]?security([-_.]?n(o|um|umber))?)\]?$"
    ),
    (
        r"(?i)(api|access|private|secret|signing|encryption|account|master|shared|subscription|"
        r"auth|client|licen[cs]e|session|deploy|hmac)[-_.]?key([-_.]?id)?\]?$"
    ),
    (
        r"(?i)(^|[-_.\[])(pwd|pass|ssn|(php|j)?sess(ion)?_?id|pin|t?otp|(mfa|otp|verification)_?code|"
        r"cvv2?|cvc2?|honeycomb-team)\]?$"
    ),
    r"(?i)^http\.(request|response)\.header\..*key$",
)
"""Names whose values are secret, whatever they hold."""

VALUES = (
    (
        r"(?i)(?:passw(?:or)?ds?(?:[-_]?(?:[12]|confirm(?:ation)?|hash))?|passphrase|passcode|_pass|"
        r"\bpwd|_pwd|secrets?|token|\bjwt|cookies?|authorization|signature|credentials?|creds|"
        r"\bssn|social[-_ ]?security(?:[-_ ]?n(?:o|um|umber))?|"
        r"(?:api|access|private|secret|signing|encryption|account|master|shared|subscription|"
        r"auth|client|licen[cs]e|session|deploy|hmac)[-_ ]?key(?:[-_]?id)?|"
        r"(?:mfa|otp|verification)[-_]?code|"
        r"sess(?:ion)?[-_]?id|honeycomb-team|(?:\b|%2[26C7]|%3[BF])(?:pin|t?otp|cvv2?|cvc2?))"
        r"(?:[\[\]\\]|%5[BCD])*"
        r"""(?:(?:["']|%2[27]|&(?:quot|apos|#(?:3[49]|x2[27]));|u002[27])(?:[\[\]]|%5[BD])*)?"""
        r"(?:\s|%20|\+)*(?:(?:\?\??|\|\||[.+])?[=:>]+|%3[ADE])(?:\s|%20|\+)*"
        r"(?:[\[({]\s*)*?(?:[bunre]\b)?"
        r"""(?P<secret>[\[({][^\[\](){}]+[\])}][^\s"'&,;<>\\]*|"""
        r"&(?:quot|apos|#(?:3[49]|x2[27]));[^&]*(?:&(?:quot|apos|#(?:3[49]|x2[27]));)?|"
        r"\\+u002[27][^\\]*(?:\\+u002[27])?|"
        r"""(?:\\|%5C)+"[^"]*"?|"(?:[^"\\]|\\.)*"?|(?:\\|%5C)+'[^']*'?|'(?:[^'\\]|\\.)*'?|"""
        r"(?:(?:bearer|basic|digest|negotiate|token|api-?(?:key|token)|oauth|ssws|splunk|bot)(?:\s|%20|\+)+)?"
        r"""(?:[^\s"'&,;<>\\\[({][^\s"'&,;<>\\]*=\\*"[^"\\;,\s]*\\*"|"""
        r"""[^\s"'&,;<>\\\[({][^\s"'&,;<>\\]*)"""
        r"""(?:;\s*[^\s=;,"']+=(?:\\*"[^"\\;,\s]*\\*"|[^\s;,"'&]*))*)"""
    ),
    # AWS's: a blank in it was a +, in a query that was decoded.
    (
        r"""(?i)secret[-_]?access[-_]?key["']?\s*[=:]\s*["']?(?P<secret>[a-z0-9/+ ]{40})"""
        r"(?:[^a-z0-9/+]|$)"
    ),
    # A name and its value as two fields: key='authorization', value='...'; name="..." value="...".
    (
        r"(?i)(?:passw(?:or)?d|passphrase|secret|token|cookie|authorization|credentials?|"
        r"(?:api|access|private|secret|account|subscription|auth|client|licen[cs]e)[-_ ]?key|"
        r"""honeycomb-team)\\*["']\s*(?:,\s*)?\\*["']?value\\*["']?\s*(?:[=:]\s*)?"""
        r"""(?:\{\s*\\*["']?string_?value\\*["']?\s*[=:]\s*)?b?"""
        r"""(?P<secret>\\+"[^"]*"?|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)"""
    ),
    # A header as a pair: ('authorization', '...'), [b'x-api-key', b'...'].
    (
        r"""(?i)(?:authorization|cookie|-(?:token|key|secret|team))\\*["']\s*,\s*b?"""
        r"""(?P<secret>\\+"[^"]*"|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*[)\]]"""
    ),
    # An option of a command: --password ..., ['--api-key', '...'].
    (
        r"(?i)--(?:[a-z0-9]{1,20}-){0,3}(?:passw(?:or)?d|passphrase|token|secret|"
        r"""(?:api|access|private|secret|account|auth|licen[cs]e)-?key)(?:["'],\s*["']|\s+["']?)"""
        r"""(?P<secret>[^\s"',-][^\s"',]*)"""
    ),
    # A name with its type: var xToken string = "..."; token: Option<String> = "...".
    (
        r"(?i)(?:passw(?:or)?d|passphrase|secret|token|jwt|credentials?|creds|"
        r"(?:api|access|private|secret|account|auth|client|licen[cs]e)[-_]?key)(?:[-_]?id)?"
        r"(?:\s{0,3}[?!]?:\s{0,3}|\s{1,3})[&*]?[a-z][\w.]{0,30}"
        r"(?:[<\[(][\w.,&| \[\]<>]{0,40}[>\])])?[?!]?\s{0,3}:?=\s{0,3}(?:[bunrf]\b)?"
        r"""(?P<secret>\\+"[^"]*"?|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)"""
    ),
    # A name and its value that a function is called with: System.setProperty("X_TOKEN", "...").
    (
        r"""(?i)\w\((?:[\w.]{1,30},\s{0,3})?\\{0,3}["'][\w.-]{0,60}?"""
        r"(?:passw(?:or)?d|passphrase|secret|token|jwt|credentials?|creds|authorization|cookie|"
        r"(?:api|access|private|secret|account|auth|client|licen[cs]e)[-_.]?key)(?:[-_]?id)?"
        r"""\\*["']\s*,\s*b?"""
        r"""(?P<secret>\\+"[^"]*"?|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)"""
    ),
    # A password as a short option: mysqldump -p..., redis-cli -a ..., docker login -p ...
    (
        r"""\b(?:(?:mysql|mariadb)[a-z_-]{0,12}["']?(?:,?\s{1,3}["']?[^\s"',|;&<>]+["']?){0,12}?"""
        r""",?\s{1,3}["']?-p|sshpass["']?,?\s{1,3}["']?-p["']?,?\s{0,3}|"""
        r"""redis-cli["']?(?:,?\s{1,3}["']?[^\s"',|;&<>]+["']?){0,12}?,?\s{1,3}["']?-a["']?,?\s{1,3}|"""
        r"""(?:docker|podman|nerdctl|skopeo|helm registry)["']?,?\s{1,3}["']?login["']?"""
        r"""(?:,?\s{1,3}["']?[^\s"',|;&<>]+["']?){0,12}?,?\s{1,3}["']?-p["']?,?\s{1,3})"""
        r"""["']?(?P<secret>[^\s"',|;&<>]+)"""
    ),
    # curl -u user:password, ['curl', '--user', 'user:password']; not docker run -u 1000:1000.
    (
        r"""[\s"',](?:-(?:[fikLsv]|sS|fsSL)?u|--(?:proxy-)?user)\\*["']?(?:,|\s|=)\s*"""
        r"""(?P<secret>\\+"[^":/]*:[0-9]*[^"/0-9][^"]*"?|"[^":/]*:[0-9]*[^"/0-9][^"]*"?|"""
        r"""'[^':/]*:[0-9]*[^'/0-9][^']*'?|[^\s"':/]*:[0-9]*[^\s"'/0-9][^\s"']*|"""
        r"""[^\s"':/]*:"[^"]+"?|[^\s"':/]*:'[^']+'?|"[^":/]*":"[^"]+"?|"[^":/\s]{8,}:")"""
    ),
    # The password is ...: what stands in quotes, or looks like no word.
    (
        r"(?i)(?:password|passphrase|passcode|token|secret|api[-_ ]?key)"
        r"(?:(?:\s|%20|\+)(?:is|was)| (?:for|of) \S+ (?:is|was))(?::|%3A)?(?:\s|%20|\+)+"
        r"""(?P<secret>\\+"[^\s",\\][^"]*"?|"[^\s",][^"]*"?|'[^\s',][^']*'?|"""
        r"(?:[a-z]{4,}[0-9]|[a-z]{1,3}[0-9][a-z0-9!@#$%^&*+=~?]{3}|"
        r"[a-z0-9]{2,}[!@#$%^&*+=~?]+[a-z0-9])[a-z0-9!@#$%^&*+=~?]*|"
        r"[0-9]+[a-z][a-z0-9!@#$%^&*+=~?_./-]{4,})"
        r"""(?:[\s.,;:!?)"'<\\]|$)"""
    ),
    (
        r"(?i)\b(?:pin|t?otp|passcode|(?:verification|mfa|otp|security|login)[- ]code)"
        r"(?:\s|%20|\+)(?:is|was)(?::|%3A)?(?:\s|%20|\+)+(?P<secret>[0-9]{4,8})\b"
    ),
    (
        r"(?i)(?:(?:^|[?&=]|%3F|%26|%3D)(?:key|auth|code|sig|pass)|(?:\b|%2[26C7]|%3[BF])(?:session|sid))(?:=|%3D)"
        r"""(?P<secret>[^&;,\s"'<>\\]+)"""
    ),
    (
        r"(?i)\b(?:key|auth|code|sig)=(?P<secret>[0-9][\w-]{15,}|[a-z_-]{1,4}[0-9][\w-]{11,}|"
        r"[a-z_-]{5,8}[0-9][\w-]{7,}|[a-z_-]{9,}[0-9][\w-]{3,})"
    ),
    (
        r"(?i)(?:password|identified(?:\s|%20|\+)+by)(?:\s|%20|\+)+"
        r"(?P<secret>'[^']*'|%27[^&\s]*)"
    ),
    r"(?i)bearer(?:\s|%20|\+)+(?P<secret>[a-z0-9._~+/=-]{16,})",
    r"Basic (?P<secret>[A-Za-z0-9+/]{24,}={0,2})",
    (
        r"(?i)(?::|%3A)(?://|%2F%2F)[^/?#\s:@%]*(?::|%3A)"
        r"""(?P<secret>(?:[^/?#\s"'&%]|%(?:[^2/?#\s"'&@]|2[^f/?#\s"'&@]))+)(?:@|%40)"""
    ),
    r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+){1,4}",
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",
    r"(?:gh[pousr]|npm|hf)_[A-Za-z0-9]{34,}",
    r"(?:github_pat|[rs]k_live|[rs]k_test|whsec|glc|glsa|dckr_pat|dop_v1|shpat)_[A-Za-z0-9_+/=-]{20,}",
    r"(?:glpat|xox[abeoprs]|xapp|pypi|xaat|NRAK)-[A-Za-z0-9_-]{16,}",
    r"[0-9A-Fa-f]{32,40}NRAL",
    r"hooks\.slack\.com/services/(?P<secret>[A-Za-z0-9/]+)",
    r"hc[a-z]{2,3}_[a-z0-9]{32,}",
    r"(?:\b|%2[26C7]|%3[BF])(?:sk-|AIza|ya29\.|SG\.|hvs\.)[A-Za-z0-9_.-]{32,}",
    r"-----BEGIN[A-Z0-9 +%]{0,100}PRIVATE[ +%20]{1,9}KEY[A-Z0-9 +%]{0,100}-----(?P<secret>[^-]*)",
    (
        r"[A-Za-z0-9._%+-]{1,64}(?:@|%40)"
        r"(?:[A-Za-z][A-Za-z0-9-]*|[0-9](?:[A-WYZa-wyz0-9-][A-Za-z0-9-]*|[Xx][A-Za-z0-9-]+)?)\."
        r"(?:[A-Za-z0-9-]+\.)*[A-Za-z]{2,24}"
    ),
    (
        r"(?:^|%[0-9A-F]{2}|[^0-9A-Za-z.])(?P<card>(?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|6011|64[4-9]\d|65\d\d|"
        r"35\d\d|62\d\d)(?:(?:[ +.-]|%20)?\d{4}){3}|3(?:[47]\d\d|0[0-5]\d|[68]\d\d)(?:[ +.-]|%20)?"
        r"\d{6}(?:[ +.-]|%20)?\d{4,5})\b"
    ),
    (
        r"(?:^|[^0-9A-Za-z]|%[0-9A-F]{2})(?P<iban>[A-Z]{2}\d\d(?:[ +]|%20)?[A-Z0-9]{4}"
        r"(?:(?:[ +]|%20)?\d{4}){1,6}(?:(?:[ +]|%20)?\d{1,3})?)\b"
    ),
    # Social security numbers: no part of one is all zeros, and the first is not 666 nor above 899.
    (
        r"(?:^|%[0-9A-F]{2}|[^0-9A-Za-z.-])"
        r"(?P<ssn>(?:00[1-9]|0[1-9]\d|[1-57]\d\d|6(?:[0-57-9]\d|6[0-57-9])|8\d\d)-"
        r"(?:0[1-9]|[1-9]\d)-(?:000[1-9]|00[1-9]\d|0[1-9]\d\d|[1-9]\d{3}))(?:[^\w-]|$)"
    ),
)
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

# What gitleaks knows of vendors' tokens, as tools/secret_rules.py writes it; the collector and the
# page have the same file.
_RULES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("gitleaks.json").read_text())[
    "rules"
]
_BY_KEYWORD: dict[str, list[str]] = {}
for _rule in _RULES:
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
