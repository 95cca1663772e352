r"""Filter patterns of CloudWatch Logs, for metric filters.

Read: JSON patterns in braces, with selectors (`$.a.b`, `$.a['b.c']`, `$.a.['b.c']`, `$.a[0]`),
`=` `!=` `<` `<=` `>` `>=`, `IS NULL|TRUE|FALSE`, `EXISTS`, `NOT EXISTS`, `*` in texts, `%regex%`,
`&&`, `||`, brackets; and terms: `word`, `"a phrase"`, `-without`, `?either`. Space-delimited
patterns in `[ ]` are refused.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

Pattern = Callable[[str], bool]
_JsonTest = Callable[[Any], bool]
_ABSENT = object()
MAX_DEPTH = 20

_SELECTOR = re.compile(r"\$(?:\.?\[(?:'[^']*'|\"[^\"]*\"|\d+)\]|\.[\w@:/-]+)*")
_STEP = re.compile(r"\.?\[(?:'([^']*)'|\"([^\"]*)\"|(\d+))\]|\.([\w@:/-]+)")
_TOKEN = re.compile(
    r"\s*(?P<token>&&|\|\||[()]|!=|<=|>=|[=<>]|\"(?:[^\"\\]|\\.)*\"|%[^%]*%|"
    rf"{_SELECTOR.pattern}|[^\s()=<>!&|\"]+)",
)
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class PatternError(Exception):
    """A pattern that is not read here; the text says where."""


def compile_pattern(text: str) -> Pattern:
    """What a filter pattern stands for. Raises PatternError."""
    stripped = text.strip()
    if stripped.startswith("["):
        raise PatternError("space-delimited patterns are not played here")
    if not stripped.startswith("{"):
        return _terms(stripped)
    if not stripped.endswith("}"):
        raise PatternError("a JSON pattern ends with }")
    parser = _Parser(_tokens(stripped[1:-1]))
    test = parser.either()
    if parser.at < len(parser.tokens):
        raise PatternError(f"unexpected {parser.tokens[parser.at]!r}")
    return lambda message: (tree := parse(message)) is not None and test(tree)


def parse(message: str) -> dict[str, Any] | None:
    """A JSON object, None for any other message."""
    if not message.lstrip().startswith("{"):
        return None
    try:
        tree: dict[str, Any] = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return tree


def select(selector: str, tree: Any) -> Any:
    """What a selector points at, None where there is nothing. Raises PatternError."""
    found = _path(selector)(tree)
    return None if found is _ABSENT else found


def _path(selector: str) -> Callable[[Any], Any]:
    if _SELECTOR.fullmatch(selector) is None:
        raise PatternError(f"{selector!r} is no selector")
    steps: list[str | int] = [
        int(index) if index else quoted or doubled or plain
        for quoted, doubled, index, plain in _STEP.findall(selector)
    ]

    def follow(tree: Any) -> Any:
        for step in steps:
            if isinstance(step, int):
                if not isinstance(tree, list) or step >= len(tree):
                    return _ABSENT
            elif not isinstance(tree, dict) or step not in tree:
                return _ABSENT
            tree = tree[step]
        return tree

    return follow


def _terms(text: str) -> Pattern:
    words = re.findall(r"([?-]?)(?:\"([^\"]*)\"|(\S+))", text)
    needed = [phrase or word for sign, phrase, word in words if not sign]
    without = [phrase or word for sign, phrase, word in words if sign == "-"]
    either = [phrase or word for sign, phrase, word in words if sign == "?"]
    return lambda message: (
        all(word in message for word in needed)
        and not any(word in message for word in without)
        and (not either or any(word in message for word in either))
    )


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise PatternError(f"cannot read {text[at : at + 20].strip()!r}")
        tokens.append(match["token"])
        at = match.end()
    return tokens


@dataclass(slots=True)
class _Parser:
    tokens: list[str]
    at: int = 0
    depth: int = 0

    def next(self) -> str:
        if self.at >= len(self.tokens):
            raise PatternError("the pattern ends too early")
        self.at += 1
        return self.tokens[self.at - 1]

    def took(self, token: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at].upper() == token:
            self.at += 1
            return True
        return False

    def either(self) -> _JsonTest:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise PatternError("nested too deep")
        tests = [self.both()]
        while self.took("||"):
            tests.append(self.both())
        self.depth -= 1
        return lambda tree: any(test(tree) for test in tests)

    def both(self) -> _JsonTest:
        tests = [self.one()]
        while self.took("&&"):
            tests.append(self.one())
        return lambda tree: all(test(tree) for test in tests)

    def one(self) -> _JsonTest:
        if self.took("("):
            inner = self.either()
            if not self.took(")"):
                raise PatternError("')' expected")
            return inner
        follow = _path(self.next())
        sign = self.next().upper()
        if sign == "NOT" and self.took("EXISTS"):
            return lambda tree: follow(tree) is _ABSENT
        if sign == "EXISTS":
            return lambda tree: follow(tree) is not _ABSENT
        if sign == "IS":
            constants = {"NULL": None, "TRUE": True, "FALSE": False}
            word = self.next().upper()
            if word not in constants:
                raise PatternError(f"IS {word}: NULL, TRUE or FALSE expected")
            wanted = constants[word]
            return lambda tree: follow(tree) is wanted
        test = _comparison(sign, self.next())
        return lambda tree: (found := follow(tree)) is not _ABSENT and test(found)


def _comparison(sign: str, token: str) -> _JsonTest:
    if sign in _ORDER:
        number, compare = _number(token), _ORDER[sign]
        if number is None:
            raise PatternError(f"{sign} needs a number, not {token!r}")
        wanted = number
        return lambda found: _is_number(found) and compare(found, wanted)
    if sign == "=":
        return _equal(token)
    if sign == "!=":
        same = _equal(token)
        return lambda found: not same(found)
    raise PatternError(f"{sign!r} is no comparison")


def _equal(token: str) -> _JsonTest:
    if token == "*":  # noqa: S105 - a wildcard
        return lambda _: True
    if token.startswith("%"):
        try:
            expression = re.compile(token.strip("%"))
        except re.error as error:
            raise PatternError(f"{token}: {error}") from None
        return lambda found: isinstance(found, str) and expression.search(found) is not None
    number = _number(token)
    if number is not None:
        return lambda found: _is_number(found) and found == number
    text = token.strip('"').replace("[", "[[]")
    return lambda found: isinstance(found, str) and fnmatchcase(found, text)


def _number(token: str) -> float | None:
    try:
        return float(token)
    except ValueError:
        return None


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)
