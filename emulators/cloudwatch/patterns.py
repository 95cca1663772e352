r"""Filter patterns of CloudWatch Logs, for metric filters.

Read: JSON patterns in braces, with selectors (`$.a.b`, `$.a['b.c']`, `$.a.['b.c']`, `$.a[0]`),
`=` `!=` `<` `<=` `>` `>=`, `IS NULL|TRUE|FALSE`, `EXISTS`, `NOT EXISTS`, `*` in texts, `%regex%`,
`&&`, `||`, brackets; and terms: `word`, `"a phrase"`, `-without`, `?either`. Space-delimited
patterns in `[ ]` are refused.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from emulators.aws.expressions import ExpressionError, Logic, searcher, tokens
from emulators.core import strict_json

Pattern = Callable[[str], bool]
_JsonTest = Callable[[Any], bool]
_ABSENT = object()

_SELECTOR = re.compile(r"\$(?:\.?\[(?:'[^']*'|\"[^\"]*\"|\d+)\]|\.[\w@:/-]+)*")
_STEP = re.compile(r"\.?\[(?:'([^']*)'|\"([^\"]*)\"|(\d+))\]|\.([\w@:/-]+)")
_TOKEN = re.compile(
    r"\s*(?:&&|\|\||[()]|!=|<=|>=|[=<>]|\"(?:[^\"\\]|\\.)*\"|%[^%]*%|"
    rf"{_SELECTOR.pattern}|[^\s()=<>!&|\"]+)",
)
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compile_pattern(text: str) -> Pattern:
    """What a filter pattern stands for. Raises ExpressionError."""
    stripped = text.strip()
    if stripped.startswith("["):
        raise ExpressionError("space-delimited patterns are not played here")
    if not stripped.startswith("{"):
        return _terms(stripped)
    if not stripped.endswith("}"):
        raise ExpressionError("a JSON pattern ends with }")
    test = _JsonPattern(tokens(stripped[1:-1], _TOKEN)).whole()
    return lambda message: (tree := parse(message)) is not None and test(tree)


def parse(message: str) -> dict[str, Any] | None:
    """A JSON object, None for any other message."""
    if not message.lstrip().startswith("{"):
        return None
    try:
        tree: dict[str, Any] = strict_json.loads(message)
    except ValueError:
        return None
    return tree


def select(selector: str, tree: Any) -> Any:
    """What a selector points at, None where there is nothing. Raises ExpressionError."""
    found = _path(selector)(tree)
    return None if found is _ABSENT else found


def _path(selector: str) -> Callable[[Any], Any]:
    if _SELECTOR.fullmatch(selector) is None:
        raise ExpressionError(f"{selector!r} is no selector")
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


class _JsonPattern(Logic[Any]):
    OR: ClassVar[tuple[str, ...]] = ("||",)
    AND: ClassVar[tuple[str, ...]] = ("&&",)

    def term(self) -> _JsonTest:
        if self.took("("):
            inner = self.either()
            self.skip(")")
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
                raise ExpressionError(f"IS {word}: NULL, TRUE or FALSE expected")
            wanted = constants[word]
            return lambda tree: follow(tree) is wanted
        test = _comparison(sign, self.next())
        return lambda tree: (found := follow(tree)) is not _ABSENT and test(found)


def _comparison(sign: str, token: str) -> _JsonTest:
    if sign in _ORDER:
        number, compare = _number(token), _ORDER[sign]
        if number is None:
            raise ExpressionError(f"{sign} needs a number, not {token!r}")
        wanted = number
        return lambda found: _is_number(found) and compare(found, wanted)
    if sign == "=":
        return _equal(token)
    if sign == "!=":
        same = _equal(token)
        return lambda found: not same(found)
    raise ExpressionError(f"{sign!r} is no comparison")


def _equal(token: str) -> _JsonTest:
    if token == "*":  # noqa: S105 - a wildcard
        return lambda _: True
    if token.startswith("%"):
        search = searcher(token.strip("%"))
        return lambda found: isinstance(found, str) and search(found)
    number = _number(token)
    if number is not None:
        return lambda found: _is_number(found) and found == number
    text = token.strip('"').replace("[", "[[]")
    return lambda found: isinstance(found, str) and fnmatchcase(found, text)


def _number(token: str) -> float | None:
    try:
        number = float(token)
    except ValueError:
        return None
    # `nan` and `infinity` are words.
    return number if math.isfinite(number) else None


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)
