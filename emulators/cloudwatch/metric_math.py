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

from emulators.aws.expressions import ExpressionError, Reader, tokens

# A value for each period, None where there is none.
Series = list[float | None]
# A metric of a Contributor Insights rule: (rule, metric) → its values. Raises ExpressionError.
RuleMetric = Callable[[str, str], Series]

_TOKEN = re.compile(
    r"\s*(?:(\d+(?:\.\d+)?)|([A-Za-z_]\w*)|(\"[^\"]*\"|'[^']*')|"
    r"(<=|>=|==|!=|&&|\|\||[-+*/(),<>\[\]]))",
)
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


def _no_rules(rule: str, metric: str) -> Series:
    raise ExpressionError(f"there is no rule {rule!r} with a metric {metric!r}")


def compute(
    expression: str, series: dict[str, Series], periods: int, rules: RuleMetric = _no_rules
) -> Series:
    """The value of `expression` in each of `periods`. Raises ExpressionError."""
    formula = _Formula(tokens(expression, _TOKEN), series=series, periods=periods, rules=rules)
    return formula.whole()


@dataclass(kw_only=True)
class _Formula(Reader):
    series: dict[str, Series]
    periods: int
    rules: RuleMetric

    def took(self, *words: str) -> str | None:
        # Small letters are for the ids of metrics: `and` can be one.
        return super().took(*words) if self.peek() in words else None

    def whole(self) -> Series:
        value = self.formula()
        self.end()
        return value

    def formula(self) -> Series:
        with self.nested():
            return self.level(0)

    def level(self, number: int) -> Series:
        if number == len(_LEVELS):
            return self.atom()
        value = self.level(number + 1)
        while sign := self.took(*_LEVELS[number]):
            value = _apply(sign, value, self.level(number + 1))
        return value

    def atom(self) -> Series:
        if self.took("-"):
            with self.nested():
                return [None if one is None else -one for one in self.atom()]
        if self.took("("):
            value = self.formula()
            self.skip(")")
            return value
        token = self.next()
        if token[0].isdigit():
            return [_finite(float(token))] * self.periods
        if token in self.series:
            return self.series[token]
        if not self.took("("):
            raise ExpressionError(f"no metric has the id {token!r}")
        return self.function(token)

    def text(self) -> str:
        token = self.next()
        if token[0] not in "\"'":
            raise ExpressionError(f"a text in quotes expected, not {token!r}")
        return token[1:-1]

    def function(self, name: str) -> Series:
        if name == "FILL":
            value = self.formula()
            self.skip(",")
            filler = _repeated(value) if self.took("REPEAT") else self.formula()
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
        arguments = [self.formula()]
        while self.took(","):
            arguments.append(self.formula())
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
            return [_folded(fold, row) if row else None for row in rows_]
        raise ExpressionError(f"{name} with {len(arguments)} arguments is not played here")


def _folded(fold: Callable[[list[float]], float], row: list[float]) -> float | None:
    try:
        return _finite(fold(row))
    except OverflowError:
        return None


def _apply(sign: str, left: Series, right: Series) -> Series:
    def one(a: float | None, b: float | None) -> float | None:
        if a is None or b is None:
            return None
        if sign == "/":
            return _finite(a / b) if b else None
        return _finite(float(_SIGNS[sign](a, b)))

    return [one(a, b) for a, b in zip(left, right, strict=True)]


def _finite(value: float) -> float | None:
    """CloudWatch shows no data point where a number is too large, as behind a division by zero."""
    return value if math.isfinite(value) else None


def _repeated(value: Series) -> Series:
    last: float | None = None
    repeated: Series = []
    for one in value:
        last = last if one is None else one
        repeated.append(last)
    return repeated
