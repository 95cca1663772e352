"""Secrets that are made up, and values beside them that are none; both can be found again.

Every secret holds `MARK` (a card is known by its digits instead), so that what is searched is one
pass, and a part that is left is found as well as the whole.
"""

from __future__ import annotations

import base64
import json
import random
import re
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote
from uuid import UUID

MARK = "qz9xkv"
"""In any case; in nothing else that the stack says. Six letters: the half a million random bytes of
ids and times in the queues would hold four of them once in a thousand runs."""

_WORD = string.ascii_letters + string.digits
_BASE64URL = _WORD + "-_"
# What a password may hold where nothing quotes it. What ends it there cannot be in it.
_BARE = _WORD + "!#$%*+./:?@^_~-=|(){}[]"
_QUOTED = _BARE + "&,;<> '"
_CARDS = (("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("6011", 16), ("34", 15), ("36", 14))
# What stands between a card's digits; `%20` as URLs have it.
_SPELT = re.compile(r"\d(?:(?:[ +.-]|%20)?\d){13,}")
_WORDS = re.compile(r"@?[\w$][\w.,:+-]*\w", re.ASCII)
_AROUND = 40


@dataclass(frozen=True)
class Secret:
    """`text` is what is sent, with `value` in it."""

    kind: str
    value: str
    text: str


@dataclass(frozen=True)
class Benign:
    kind: str
    value: str
    text: str


def secrets(rng: random.Random, count: int) -> list[Secret]:
    """`count` of them, every kind as often as any other, no two alike."""
    kinds = list(_SECRETS.items())
    return [_secret(rng, *kinds[number % len(kinds)]) for number in range(count)]


def benign(rng: random.Random, count: int) -> list[Benign]:
    kinds = list(_BENIGN.items())
    made = [(kind, make(rng)) for kind, make in (kinds[n % len(kinds)] for n in range(count))]
    return [
        Benign(kind, value, rng.choice(("{}", "of {} it is", "n={}&page=2")).format(value))
        for kind, value in made
    ]


def leaks(haystack: str, sent: Iterable[Secret]) -> list[str]:
    """What of the secrets is in the text, with what stands around it."""
    found = [
        haystack[max(0, at.start() - _AROUND) : at.end() + _AROUND]
        for at in re.finditer(MARK, haystack, re.IGNORECASE)
    ]
    cards = {_digits(secret.value) for secret in sent if secret.kind == "card"}
    for at in _SPELT.finditer(haystack):
        digits = _digits(at[0])
        found += [
            haystack[max(0, at.start() - _AROUND) : at.end() + _AROUND]
            for length in (14, 15, 16)
            for start in range(len(digits) - length + 1)
            if digits[start : start + length] in cards
        ]
    return found


def kept(haystack: str, sent: Iterable[Benign]) -> set[str]:
    """The benign values that the text holds."""
    words = set(_WORDS.findall(haystack)) | set(_WORDS.findall(unquote(haystack)))
    return {one.value for one in sent if one.value in words}


def _digits(text: str) -> str:
    return "".join(re.findall(r"\d", text.replace("%20", "")))


def _secret(rng: random.Random, kind: str, make: Callable[[random.Random], str]) -> Secret:
    value = make(rng)
    return Secret(kind, value, rng.choice(_SAYING.get(kind, _SAYING["telltale"]))(value))


def _marked(rng: random.Random, alphabet: str, length: int, mark: str = MARK) -> str:
    """Random, with the mark somewhere inside."""
    at = rng.randrange(1, length - len(mark))
    drawn = "".join(rng.choices(alphabet, k=length - len(mark)))
    return drawn[:at] + mark + drawn[at:]


def _jwt(rng: random.Random) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=").decode()
    body = base64.urlsafe_b64encode(b'{"sub":"%d"}' % rng.randrange(10**9)).rstrip(b"=").decode()
    return f"{head}.{body}.{_marked(rng, _BASE64URL, 43)}"


def _private_key(rng: random.Random) -> str:
    kind = rng.choice(("RSA ", "EC ", "OPENSSH ", ""))
    lines = "\n".join(_marked(rng, _WORD + "+/", 64) for _ in range(4))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----"


def _card(rng: random.Random) -> str:
    prefix, length = rng.choice(_CARDS)
    digits = prefix + "".join(rng.choices(string.digits, k=length - len(prefix) - 1))
    number = digits + _check_digit(digits)
    groups = {16: (4, 4, 4, 4), 15: (4, 6, 5), 14: (4, 6, 4)}[length]
    between = rng.choice(("", "", " ", "-"))
    parts = [number[sum(groups[:n]) :][:size] for n, size in enumerate(groups)]
    return between.join(parts)


def _check_digit(digits: str) -> str:
    total = sum(
        int(digit) if place % 2 else sum(divmod(2 * int(digit), 10))
        for place, digit in enumerate(reversed(digits))
    )
    return str(-total % 10)


def _email(rng: random.Random) -> str:
    domain = rng.choice(("mail.example", "mail.example.com", "a-b.example.org"))
    return f"{_marked(rng, string.ascii_lowercase + string.digits + '._+-', 12)}@{domain}"


_SECRETS: dict[str, Callable[[random.Random], str]] = {
    # Known by their names.
    "bare password": lambda rng: _marked(rng, _BARE, 14),
    "quoted password": lambda rng: _marked(rng, _QUOTED, 18),
    "AWS secret key": lambda rng: _marked(rng, _WORD + "/+", 40),
    "opaque key": lambda rng: _marked(rng, "0123456789abcdef", 32),
    "session cookie": lambda rng: _marked(rng, _BASE64URL, 32),
    "basic authentication": lambda rng: _marked(rng, _WORD, 30) + "==",
    "bearer": lambda rng: _marked(rng, _BASE64URL, 40),
    "URL's password": lambda rng: _marked(rng, _WORD + "!$*_~.-", 16),
    "said password": lambda rng: _marked(rng, _WORD, 14),
    # Known by their looks.
    "JWT": _jwt,
    "AWS key": lambda rng: (
        "AKIA" + _marked(rng, string.ascii_uppercase + string.digits, 16, MARK.upper())
    ),
    "GitHub": lambda rng: f"gh{rng.choice('pousr')}_{_marked(rng, _WORD, 36)}",
    "Stripe": lambda rng: f"sk_{rng.choice(('live', 'test'))}_{_marked(rng, _WORD, 24)}",
    "Slack": lambda rng: (
        f"xox{rng.choice('bp')}-{rng.randrange(10**10):010}-{_marked(rng, _WORD, 24)}"
    ),
    "Honeycomb": lambda rng: (
        f"hc{rng.choice(('aik', 'bik', 'amk'))}_"
        + _marked(rng, string.ascii_lowercase + string.digits, 58)
    ),
    "private key": _private_key,
    "card": _card,
    "e-mail": _email,
}

_SAYING: dict[str, tuple[Callable[[str], str], ...]] = {
    "telltale": (
        lambda value: value,
        lambda value: f"it was {value} that failed",
        lambda value: f'{{"note": {json.dumps(value)}, "n": 1}}',
        lambda value: f"seen={value}&page=2",
        lambda value: f"next={quote(value)}&page=2",
    ),
    "bare password": (
        lambda value: f"login failed password={value} user=bob",
        lambda value: f"passwd: {value}",
        lambda value: f"?a=1&client_secret={quote(value, safe='')}&page=2",
    ),
    "quoted password": (
        lambda value: json.dumps({"password": value, "n": 1}),
        lambda value: json.dumps({"body": json.dumps({"db_password": value.replace("'", "")})}),
        lambda value: f'connect(user="bob", password="{value}")',
        lambda value: f"SET password = '{value.replace(chr(39), '')}'",
    ),
    "AWS secret key": (
        lambda value: f"aws_secret_access_key = {value}",
        lambda value: f"AWS_SECRET_ACCESS_KEY={value}",
        lambda value: json.dumps({"SecretAccessKey": value}),
    ),
    "opaque key": (
        lambda value: f"x-honeycomb-team: {value}",
        lambda value: f"https://h/p?api_key={value}&page=2",
        lambda value: f"<apiKey>{value}</apiKey>",
        lambda value: f"code={value}&state=ok",
        lambda value: f"{{'X-Rollbar-Access-Token': '{value}'}}",
    ),
    "session cookie": (
        lambda value: f"Cookie: theme=dark; session={value}; lang=en",
        lambda value: f"session={value}; Path=/; HttpOnly",
        lambda value: f"{{'Set-Cookie': 'sid={value}; Path=/'}}",
    ),
    "basic authentication": (
        lambda value: f"Authorization: Basic {value}",
        lambda value: f"curl -H 'Proxy-Authorization: Basic {value}'",
    ),
    "bearer": (
        lambda value: f"Authorization: Bearer {value}",
        lambda value: f"called with Bearer {value}",
        lambda value: f"{{'Authorization': ['Bearer {value}']}}",
    ),
    "said password": (
        lambda value: f"the password is {value}",
        lambda value: f"that the token was {value}, he said",
    ),
    "URL's password": (
        lambda value: f"postgresql://bob:{value}@db/x",
        lambda value: f"next={quote(f'https://bob:{value}@h/p', safe='')}&page=2",
    ),
}


def _no_card(rng: random.Random) -> str:
    digits = "4" + "".join(rng.choices(string.digits, k=14))
    return digits + str((int(_check_digit(digits)) + rng.randrange(1, 10)) % 10)


def _time(rng: random.Random) -> str:
    clock = f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}"
    return f"20{rng.randrange(10, 40)}-11-{rng.randrange(10, 30)}T{clock}.{rng.randrange(10**6):06}"


_BENIGN: dict[str, Callable[[random.Random], str]] = {
    "UUID": lambda rng: str(UUID(int=rng.getrandbits(128), version=4)),
    "trace id": lambda rng: f"{rng.getrandbits(128):032x}",
    "commit": lambda rng: f"{rng.getrandbits(160):040x}",
    "time": _time,
    "nanoseconds": lambda rng: f"17{rng.randrange(10**17):017}",
    "no card": _no_card,
    "handle": lambda rng: f"@{''.join(rng.choices(string.ascii_lowercase, k=9))}",
    "price": lambda rng: (
        f"${rng.randrange(1, 999)},{rng.randrange(1000):03}.{rng.randrange(100):02}"
    ),
    "word": lambda rng: "w" + "".join(rng.choices(string.ascii_lowercase + string.digits, k=9)),
}
