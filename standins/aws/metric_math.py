"""Metric math: the expressions of an alarm.

Read: `+ - * /`, comparisons, `AND`, `OR`, brackets, `IF`, `FILL`, `SUM`, `AVG`, `MIN`, `MAX`,
`ABS`, `CEIL`, `FLOOR`, `INSIGHT_RULE_METRIC`, with metrics by their ids. A value is computed for
each period; a period that one side lacks has none.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

# A value for each period, None where there is none.
Series = list[float | None]
# A metric of a Contributor Insights rule: (rule, metric) → its values. Raises MathError.
RuleMetric = Callable[[str, str], Series]

_TOKEN = re.compile(
    r"\s*(?:(\d+(?:\.\d+)?)|([A-Za-z_]\w*)|(\"[^\"]*\"|'[^']*')|"
    r"(<=|>=|==|!=|&&|\|\||[-+*/(),<>\[\]]))",
)
MAX_DEPTH = 20
_SIGNS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "AND": lambda one, other: float(bool(one) and bool(other)),
    "OR": lambda one, other: float(bool(one) or bool(other)),
}
_SIGNS |= {"&&": _SIGNS["AND"], "||": _SIGNS["OR"]}
_LEVELS = (("OR", "||"), ("AND", "&&"), ("<", "<=", ">", ">=", "==", "!="), ("+", "-"), ("*", "/"))
_FOLDS: dict[str, Callable[[list[float]], float]] = {
    "SUM": math.fsum,
    "AVG": lambda found: math.fsum(found) / len(found),
    "MIN": min,
    "MAX": max,
}
_SINGLE: dict[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}


class MathError(Exception):
    """An expression that is not read here; the text says where."""


def _no_rules(rule: str, metric: str) -> Series:
    raise MathError(f"there is no rule {rule!r} with a metric {metric!r}")


def compute(
    expression: str, series: dict[str, Series], periods: int, rules: RuleMetric = _no_rules
) -> Series:
    """The value of `expression` in each of `periods`. Raises MathError."""
    tokens: list[str] = []
    at, end = 0, len(expression.rstrip())
    while at < end:
        match = _TOKEN.match(expression, at)
        if match is None:
            raise MathError(f"cannot read {expression[at : at + 20].strip()!r}")
        tokens.append(match.group().strip())
        at = match.end()
    parser = _Parser(tokens, series, periods, rules)
    value = parser.level(0)
    if parser.at < len(tokens):
        raise MathError(f"unexpected {tokens[parser.at]!r}")
    return value


@dataclass(slots=True)
class _Parser:
    tokens: list[str]
    series: dict[str, Series]
    periods: int
    rules: RuleMetric
    at: int = 0
    depth: int = 0

    def next(self) -> str:
        if self.at >= len(self.tokens):
            raise MathError("the expression ends too early")
        self.at += 1
        return self.tokens[self.at - 1]

    def took(self, *words: str) -> str | None:
        if self.at < len(self.tokens) and self.tokens[self.at] in words:
            self.at += 1
            return self.tokens[self.at - 1]
        return None

    def skip(self, word: str) -> None:
        if not self.took(word):
            raise MathError(f"{word!r} expected")

    def level(self, number: int) -> Series:
        if number == len(_LEVELS):
            return self.atom()
        if number == 0:
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise MathError("nested too deep")
        value = self.level(number + 1)
        while sign := self.took(*_LEVELS[number]):
            value = _apply(sign, value, self.level(number + 1))
        if number == 0:
            self.depth -= 1
        return value

    def atom(self) -> Series:
        if self.took("-"):
            return [None if one is None else -one for one in self.atom()]
        if self.took("("):
            value = self.level(0)
            self.skip(")")
            return value
        token = self.next()
        if token[0].isdigit():
            return [float(token)] * self.periods
        if token in self.series:
            return self.series[token]
        if not self.took("("):
            raise MathError(f"no metric has the id {token!r}")
        return self.function(token)

    def text(self) -> str:
        token = self.next()
        if token[0] not in "\"'":
            raise MathError(f"a text in quotes expected, not {token!r}")
        return token[1:-1]

    def function(self, name: str) -> Series:
        if name == "FILL":
            value = self.level(0)
            self.skip(",")
            filler = _repeated(value) if self.took("REPEAT") else self.level(0)
            self.skip(")")
            pairs = zip(value, filler, strict=True)
            return [other if one is None else one for one, other in pairs]
        if name == "INSIGHT_RULE_METRIC":
            rule = self.text()
            self.skip(",")
            metric = self.text()
            self.skip(")")
            return self.rules(rule, metric)
        bracket = self.took("[")
        arguments = [self.level(0)]
        while self.took(","):
            arguments.append(self.level(0))
        if bracket:
            self.skip("]")
        self.skip(")")
        if name == "IF" and len(arguments) == 3:  # noqa: PLR2004 - condition, then, else
            rows = zip(*arguments, strict=True)
            return [None if test is None else yes if test else no for test, yes, no in rows]
        if name in _SINGLE and len(arguments) == 1:
            return [None if one is None else float(_SINGLE[name](one)) for one in arguments[0]]
        if name in _FOLDS:
            fold = _FOLDS[name]
            rows_ = (
                [one for one in row if one is not None] for row in zip(*arguments, strict=True)
            )
            return [fold(row) if row else None for row in rows_]
        raise MathError(f"{name} with {len(arguments)} arguments is not played here")


def _apply(sign: str, left: Series, right: Series) -> Series:
    def one(a: float | None, b: float | None) -> float | None:
        if a is None or b is None:
            return None
        if sign == "/":
            return a / b if b else None
        return float(_SIGNS[sign](a, b))

    return [one(a, b) for a, b in zip(left, right, strict=True)]


def _repeated(value: Series) -> Series:
    last: float | None = None
    repeated: Series = []
    for one in value:
        last = last if one is None else one
        repeated.append(last)
    return repeated
