"""Logs Insights queries: the part of the language that finds a trace's logs and counts errors.

Read: `fields`, `display`, `filter`, `sort`, `limit`, `stats … by …`, `dedup`; comparisons, `like`,
`=~`, `in`, `and`, `or`, `not`, arithmetic; the functions in FUNCTIONS and AGGREGATES. Anything else
is a MalformedQueryException: moto would pass over a filter that it does not know, and answer all.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cmp_to_key
from typing import Any

Row = dict[str, Any]
Expression = Callable[[Row], Any]
Command = Callable[[list[Row]], list[Row]]

MAX_ROWS = 10_000
MAX_DEPTH = 20
_TOKEN = re.compile(
    r"\s*(?:(?P<regex>/(?:[^/\\]|\\.)+/(?=\s|$|[)|]))|"
    r"(?P<string>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|"
    r"(?P<number>\d+(?:\.\d+)?(?:ms|[smhdw])?(?![\w.]))|"
    r"(?P<name>`[^`]+`|[@A-Za-z_][\w.@]*)|(?P<sign>=~|!=|<=|>=|[=<>+\-*/%(),\[\]|]))",
)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class QueryError(Exception):
    """A query outside the language; the text says where."""


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _substr(text: Any, start: Any, length: Any = None) -> str:
    first = int(start)
    return _text(text)[first:] if length is None else _text(text)[first : first + int(length)]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "concat": lambda *parts: "".join(_text(part) for part in parts),
    "substr": _substr,
    "strlen": lambda text: len(_text(text)),
    "strcontains": lambda text, part: int(_text(part) in _text(text)),
    "tolower": lambda text: _text(text).lower(),
    "toupper": lambda text: _text(text).upper(),
    "trim": lambda text: _text(text).strip(),
    "ispresent": lambda value: value is not None,
    "isempty": lambda value: _text(value) == "",
    "coalesce": lambda *values: next((one for one in values if one is not None), None),
    "abs": lambda value: None if _number(value) is None else abs(_number(value) or 0.0),
}


def _percentile(values: list[float], percent: float) -> float | None:
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]


def _numbers(values: list[Any]) -> list[float]:
    return [number for one in values if (number := _number(one)) is not None]


AGGREGATES: dict[str, Callable[[list[Any]], Any]] = {
    "count": lambda values: sum(one is not None for one in values),
    "count_distinct": lambda values: len({_text(one) for one in values if one is not None}),
    "sum": lambda values: sum(_numbers(values)),
    "avg": lambda values: sum(n) / len(n) if (n := _numbers(values)) else None,
    "min": lambda values: min(_numbers(values), default=None),
    "max": lambda values: max(_numbers(values), default=None),
    # Rows come newest first.
    "latest": lambda values: next((one for one in values if one is not None), None),
    "earliest": lambda values: next((one for one in reversed(values) if one is not None), None),
}


def run(query: str, events: list[Row], limit: int = 1000) -> list[list[dict[str, str]]]:
    """The rows that a query makes of `events` (rows with @timestamp in epoch ms, newest first).

    Answers them as GetQueryResults does. Raises QueryError.
    """
    lines = (line for line in query.splitlines() if not line.lstrip().startswith("#"))
    parser = _Parser(_tokens("\n".join(lines)))
    rows, shown = events, ["@timestamp", "@message"]
    limited = False
    while True:
        command = parser.command()
        rows = command.apply(rows)
        shown = command.shown or shown
        limited = limited or command.limits
        if not parser.took("|"):
            break
    if parser.peek() is not None:
        raise QueryError(f"unexpected {parser.peek()!r}")
    rows = rows[: MAX_ROWS if limited else limit]
    return [_shown(row, shown) for row in rows]


def _shown(row: Row, names: list[str]) -> list[dict[str, str]]:
    cells = [{"field": name, "value": _cell(name, row[name])} for name in names if _has(row, name)]
    if "@ptr" in row:
        cells.append({"field": "@ptr", "value": str(row["@ptr"])})
    return cells


def _has(row: Row, name: str) -> bool:
    return row.get(name) is not None


def _cell(name: str, value: Any) -> str:
    if name in ("@timestamp", "@ingestionTime"):
        when = datetime.fromtimestamp(value / 1000, UTC)
        return when.strftime("%Y-%m-%d %H:%M:%S.") + f"{value % 1000:03d}"
    return _text(value)


@dataclass(slots=True)
class _Command:
    apply: Command
    shown: list[str] = field(default_factory=list)
    limits: bool = False


def _tokens(query: str) -> list[str]:
    tokens: list[str] = []
    at, end = 0, len(query.rstrip())
    while at < end:
        match = _TOKEN.match(query, at)
        if match is None:
            raise QueryError(f"cannot read {query[at : at + 20].strip()!r}")
        tokens.append(match.group().strip())
        at = match.end()
    return tokens


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}


@dataclass(slots=True)
class _Parser:
    tokens: list[str]
    at: int = 0
    depth: int = 0

    def peek(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def next(self) -> str:
        token = self.peek()
        if token is None:
            raise QueryError("the query ends too early")
        self.at += 1
        return token

    def took(self, *words: str) -> str | None:
        found = self.peek()
        if found is not None and found.lower() in words:
            self.at += 1
            return found.lower()
        return None

    def skip(self, word: str) -> None:
        if self.took(word) is None:
            raise QueryError(f"{word!r} expected, not {self.peek()!r}")

    def command(self) -> _Command:
        word = self.next().lower()
        match word:
            case "fields" | "display":
                return self.fields()
            case "filter":
                test = self.either()
                return _Command(lambda rows: [row for row in rows if test(row)])
            case "sort":
                return self.sort()
            case "limit":
                most = self.next()
                if not most.isdigit() or not 1 <= int(most) <= MAX_ROWS:
                    raise QueryError(f"limit takes 1 to {MAX_ROWS}, not {most}")
                return _Command(lambda rows: rows[: int(most)], limits=True)
            case "stats":
                return self.stats()
            case "dedup":
                names = self.names()
                return _Command(lambda rows: _dedup(rows, names))
            case _:
                raise QueryError(f"the command {word!r} is not played here")

    def fields(self) -> _Command:
        named: list[tuple[str, Expression]] = []
        while True:
            start = self.at
            expression = self.either()
            name = "".join(self.tokens[start : self.at]).strip("`")
            if self.took("as"):
                name = self.next().strip("`")
            named.append((name, expression))
            if not self.took(","):
                break
        return _Command(
            lambda rows: [{**row, **{name: one(row) for name, one in named}} for row in rows],
            shown=[name for name, _ in named],
        )

    def names(self) -> list[str]:
        names = [self.next().strip("`")]
        while self.took(","):
            names.append(self.next().strip("`"))
        return names

    def sort(self) -> _Command:
        keys: list[tuple[Expression, bool]] = []
        while True:
            expression = self.either()
            keys.append((expression, self.took("asc", "desc") == "desc"))
            if not self.took(","):
                break

        def compare(one: Row, other: Row) -> int:
            for expression, descending in keys:
                difference = _difference(expression(one), expression(other))
                if difference:
                    return -difference if descending else difference
            return 0

        return _Command(lambda rows: sorted(rows, key=cmp_to_key(compare)))

    def stats(self) -> _Command:
        made: list[tuple[str, Callable[[list[Row]], Any]]] = []
        while True:
            made.append(self.aggregate())
            if not self.took(","):
                break
        by: list[tuple[str, Expression]] = []
        if self.took("by"):
            while True:
                start = self.at
                expression = self.either()
                name = "".join(self.tokens[start : self.at]).strip("`")
                by.append((self.next() if self.took("as") else name, expression))
                if not self.took(","):
                    break

        def apply(rows: list[Row]) -> list[Row]:
            groups: dict[tuple[str, ...], list[Row]] = {}
            for row in rows:
                groups.setdefault(tuple(_text(one(row)) for _, one in by), []).append(row)
            return [
                {name: one(group[0]) for name, one in by} | {name: one(group) for name, one in made}
                for group in groups.values()
            ]

        shown = [name for name, _ in by] + [name for name, _ in made]
        return _Command(apply, shown=shown)

    def aggregate(self) -> tuple[str, Callable[[list[Row]], Any]]:
        start = self.at
        word = self.next().lower()
        self.skip("(")
        values: Expression = lambda _row: 1  # noqa: E731 - count(*)
        if (word == "count" and self.took("*")) or (word == "count" and self.peek() == ")"):
            pass
        else:
            values = self.either()
        if word == "pct":
            self.skip(",")
            percent = float(self.next())
            fold: Callable[[list[Any]], Any] = lambda found: _percentile(  # noqa: E731
                _numbers(found),
                percent,
            )
        elif word in AGGREGATES:
            fold = AGGREGATES[word]
        else:
            raise QueryError(f"the aggregate {word!r} is not played here")
        self.skip(")")
        name = "".join(self.tokens[start : self.at])
        if self.took("as"):
            name = self.next().strip("`")
        return name, lambda rows: fold([values(row) for row in rows])

    def either(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise QueryError("nested too deep")
        choices = [self.both()]
        while self.took("or"):
            choices.append(self.both())
        self.depth -= 1
        return choices[0] if len(choices) == 1 else lambda row: any(one(row) for one in choices)

    def both(self) -> Expression:
        needed = [self.negation()]
        while self.took("and"):
            needed.append(self.negation())
        return needed[0] if len(needed) == 1 else lambda row: all(one(row) for one in needed)

    def negation(self) -> Expression:
        if self.took("not"):
            inner = self.negation()
            return lambda row: not inner(row)
        return self.comparison()

    def comparison(self) -> Expression:
        left = self.sum()
        sign = self.took("=", "!=", "<", "<=", ">", ">=", "=~", "like", "in", "not")
        if sign is None:
            return left
        if sign == "not":
            sign = self.took("like", "in")
            if sign is None:
                raise QueryError("like or in expected after not")
            inner = self.compared(left, sign)
            return lambda row: not inner(row)
        return self.compared(left, sign)

    def compared(self, left: Expression, sign: str) -> Expression:
        if sign in ("like", "=~"):
            search = _search(self.next())
            return lambda row: search(_text(left(row)))
        if sign == "in":
            self.skip("[")
            choices = [self.sum()]
            while self.took(","):
                choices.append(self.sum())
            self.skip("]")
            return lambda row: any(_equal(left(row), one(row)) for one in choices)
        right = self.sum()
        if sign == "=":
            return lambda row: _equal(left(row), right(row))
        if sign == "!=":
            return lambda row: not _equal(left(row), right(row))
        compare = _COMPARE[sign]
        return lambda row: (
            (one := _number(left(row))) is not None
            and (other := _number(right(row))) is not None
            and compare(one, other)
        )

    def sum(self) -> Expression:
        left = self.product()
        while sign := self.took("+", "-"):
            left = _arithmetic(sign, left, self.product())
        return left

    def product(self) -> Expression:
        left = self.atom()
        while sign := self.took("*", "/", "%"):
            left = _arithmetic(sign, left, self.atom())
        return left

    def atom(self) -> Expression:
        if self.took("("):
            inner = self.either()
            self.skip(")")
            return inner
        token = self.next()
        if token[0] in "\"'":
            text = re.sub(r"\\(.)", r"\1", token[1:-1])
            return lambda _row: text
        if token[0].isdigit():
            number = float(token.rstrip("smhdw"))
            return lambda _row: number
        if token[0] == "`" or re.match(r"[@A-Za-z_]", token):
            return self.named(token)
        raise QueryError(f"unexpected {token!r}")

    def named(self, token: str) -> Expression:
        if self.peek() != "(":
            name = token.strip("`")
            return lambda row: row.get(name)
        word = token.lower()
        self.skip("(")
        if word == "bin":
            period = self.next()
            unit = period.lstrip("0123456789.")
            self.skip(")")
            step = int(float(period.removesuffix(unit)) * _SECONDS.get(unit, 1) * 1000) or 1
            return lambda row: row["@timestamp"] // step * step
        if word not in FUNCTIONS:
            raise QueryError(f"the function {word!r} is not played here")
        arguments = [] if self.peek() == ")" else [self.either()]
        while self.took(","):
            arguments.append(self.either())
        self.skip(")")
        function = FUNCTIONS[word]
        return lambda row: function(*(one(row) for one in arguments))


def _arithmetic(sign: str, left: Expression, right: Expression) -> Expression:
    apply = _ARITHMETIC[sign]

    def compute(row: Row) -> float | None:
        one, other = _number(left(row)), _number(right(row))
        if one is None or other is None or (sign in "/%" and other == 0):
            return None
        return apply(one, other)

    return compute


def _equal(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return False
    # Not as numbers when both are text: ids of digits alone would lose theirs to rounding.
    if not (isinstance(one, str) and isinstance(other, str)):
        numbers = _number(one), _number(other)
        if None not in numbers:
            return numbers[0] == numbers[1]
    return _text(one) == _text(other)


def _difference(one: Any, other: Any) -> int:
    numbers = _number(one), _number(other)
    if numbers[0] is not None and numbers[1] is not None:
        return (numbers[0] > numbers[1]) - (numbers[0] < numbers[1])
    return (_text(one) > _text(other)) - (_text(one) < _text(other))


def _search(token: str) -> Callable[[str], bool]:
    if token[0] == "/":
        try:
            expression = re.compile(token[1:-1])
        except re.error as error:
            raise QueryError(f"{token}: {error}") from None
        return lambda text: expression.search(text) is not None
    if token[0] in "\"'":
        part = token[1:-1]
        return lambda text: part in text
    raise QueryError(f'like takes "text" or /expression/, not {token!r}')


def _dedup(rows: list[Row], names: list[str]) -> list[Row]:
    found: dict[tuple[str, ...], Row] = {}
    for row in rows:
        found.setdefault(tuple(_text(row.get(name)) for name in names), row)
    return list(found.values())
