"""Logs Insights queries: the part of the language that finds a trace's logs and counts errors.

Read: `fields`, `display`, `filter`, `sort`, `limit`, `stats … by …`, `dedup`; comparisons, `like`,
`=~`, `in`, `and`, `or`, `not`, arithmetic; the functions in FUNCTIONS and AGGREGATES. Anything else
is a MalformedQueryException: moto would pass over a filter that it does not know, and answer all.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cmp_to_key
from inspect import signature
from typing import Any, ClassVar

from emulators.aws.expressions import ExpressionError, Logic, searcher, tokens

Row = dict[str, Any]
Expression = Callable[[Row], Any]
Command = Callable[[list[Row]], list[Row]]

MAX_ROWS = 10_000
# What one query may make: a cell for each field of each row, and the texts that functions build.
MAX_CELLS = 2_000_000
MAX_TEXT = 32 * 1024 * 1024
_TOKEN = re.compile(
    r"\s*(?:(?P<regex>/(?:[^/\\]|\\.)+/(?=\s|$|[)|]))|"
    r"(?P<string>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|"
    r"(?P<number>\d+(?:\.\d+)?(?:ms|[smhdw])?(?![\w.]))|"
    r"(?P<name>`[^`]+`|[@A-Za-z_][\w.@]*)|(?P<sign>=~|!=|<=|>=|[=<>+\-*/%(),\[\]|]))",
)
# Characters.
MAX_PERIOD = 12
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


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
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _concat(*parts: Any) -> str:
    texts = [_text(part) for part in parts]
    if sum(map(len, texts)) > MAX_TEXT:
        raise ExpressionError(f"concat makes more than {MAX_TEXT} characters")
    return "".join(texts)


def _substr(text: Any, start: Any, length: Any = None) -> str | None:
    first, most = _number(start), math.inf if length is None else _number(length)
    if first is None or most is None or first < 0 or most < 0:
        return None
    whole = _text(text)
    return whole[int(min(first, len(whole))) :][: int(min(most, len(whole)))]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "concat": _concat,
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

    Answers them as GetQueryResults does. Raises ExpressionError.
    """
    lines = (line for line in query.splitlines() if not line.lstrip().startswith("#"))
    parser = _Query(tokens("\n".join(lines), _TOKEN))
    rows, shown = events, ["@timestamp", "@message"]
    limited = False
    while True:
        command = parser.command()
        rows = command.apply(rows)
        shown = command.shown or shown
        limited = limited or command.limits
        if not parser.took("|"):
            break
    parser.end()
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
    # A query can give the name to anything.
    if name in ("@timestamp", "@ingestionTime") and (number := _number(value)) is not None:
        seconds, ms = divmod(int(number), 1000)
        try:
            return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{ms:03d}"
        except (OverflowError, ValueError, OSError):
            return _text(value)
    return _text(value)


@dataclass(slots=True)
class _Command:
    apply: Command
    shown: list[str] = field(default_factory=list)
    limits: bool = False


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


@dataclass
class _Query(Logic[Row]):
    NOT: ClassVar[tuple[str, ...]] = ("NOT",)

    cells: int = 0
    built: int = 0

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
                most = int(self.number(1, MAX_ROWS))
                return _Command(lambda rows: rows[:most], limits=True)
            case "stats":
                return self.stats()
            case "dedup":
                names = self.names()
                return _Command(lambda rows: _dedup(rows, names))
            case _:
                raise ExpressionError(f"the command {word!r} is not played here")

    def fields(self) -> _Command:
        named: list[tuple[str, Expression]] = []
        while True:
            start = self.at
            expression = self.either()
            name = "".join(self.tokens[start : self.at]).strip("`")
            if self.took("AS"):
                name = self.next().strip("`")
            named.append((name, expression))
            if not self.took(","):
                break

        def apply(rows: list[Row]) -> list[Row]:
            self.made(rows, len(named))
            return [{**row, **{name: one(row) for name, one in named}} for row in rows]

        return _Command(apply, shown=[name for name, _ in named])

    def names(self) -> list[str]:
        names = [self.next().strip("`")]
        while self.took(","):
            names.append(self.next().strip("`"))
        return names

    def sort(self) -> _Command:
        keys: list[tuple[Expression, bool]] = []
        while True:
            expression = self.either()
            keys.append((expression, self.took("ASC", "DESC") == "DESC"))
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
        if self.took("BY"):
            while True:
                start = self.at
                expression = self.either()
                name = "".join(self.tokens[start : self.at]).strip("`")
                by.append((self.next() if self.took("AS") else name, expression))
                if not self.took(","):
                    break

        def apply(rows: list[Row]) -> list[Row]:
            self.made(rows, len(by) + len(made))
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
            percent = self.number(0, 100)
            fold: Callable[[list[Any]], Any] = lambda found: _percentile(  # noqa: E731
                _numbers(found),
                percent,
            )
        elif word in AGGREGATES:
            fold = AGGREGATES[word]
        else:
            raise ExpressionError(f"the aggregate {word!r} is not played here")
        self.skip(")")
        name = "".join(self.tokens[start : self.at])
        if self.took("AS"):
            name = self.next().strip("`")
        return name, lambda rows: fold([values(row) for row in rows])

    def term(self) -> Expression:
        left = self.sum()
        sign = self.took("=", "!=", "<", "<=", ">", ">=", "=~", "LIKE", "IN", "NOT")
        if sign is None:
            return left
        if sign == "NOT":
            sign = self.took("LIKE", "IN")
            if sign is None:
                raise ExpressionError("like or in expected after not")
            inner = self.compared(left, sign)
            return lambda row: not inner(row)
        return self.compared(left, sign)

    def compared(self, left: Expression, sign: str) -> Expression:
        if sign in ("LIKE", "=~"):
            search = _search(self.next())
            return lambda row: search(_text(left(row)))
        if sign == "IN":
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
        return self.chain(self.product, "+", "-")

    def product(self) -> Expression:
        return self.chain(self.atom, "*", "/", "%")

    def chain(self, operand: Callable[[], Expression], *signs: str) -> Expression:
        first = operand()
        rest: list[tuple[str, Expression]] = []
        while sign := self.took(*signs):
            rest.append((sign, operand()))

        def compute(row: Row) -> float | None:
            value = _number(first(row))
            for sign, other in rest:
                value = _arithmetic(sign, value, _number(other(row)))
            return value

        return compute if rest else first

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
        raise ExpressionError(f"unexpected {token!r}")

    def named(self, token: str) -> Expression:
        if self.peek() != "(":
            name = token.strip("`")
            return lambda row: row.get(name)
        word = token.lower()
        self.skip("(")
        if word == "bin":
            step = max(1, int(self.seconds() * 1000))
            self.skip(")")
            return lambda row: _floor(row.get("@timestamp"), step)
        if word not in FUNCTIONS:
            raise ExpressionError(f"the function {word!r} is not played here")
        arguments = [] if self.peek() == ")" else [self.either()]
        while self.took(","):
            arguments.append(self.either())
        self.skip(")")
        function = FUNCTIONS[word]
        try:
            signature(function).bind(*arguments)
        except TypeError as error:
            raise ExpressionError(f"{word}: {error}") from None
        return lambda row: self.counted(function(*(one(row) for one in arguments)))

    def number(self, least: float, most: float) -> float:
        token = self.next()
        found = float(token) if token[0].isdigit() and not token[-1].isalpha() else None
        if found is None or not least <= found <= most:
            raise ExpressionError(f"a number from {least} to {most} expected, not {token!r}")
        return found

    def seconds(self) -> float:
        token = self.next()
        unit = token.lstrip("0123456789.")
        if not token[0].isdigit() or unit not in ("", *_SECONDS) or len(token) > MAX_PERIOD:
            raise ExpressionError(f"a period such as 5m expected, not {token!r}")
        return float(token.removesuffix(unit)) * _SECONDS.get(unit, 1)

    def counted(self, value: Any) -> Any:
        """A value that a function made."""
        self.built += len(value) if isinstance(value, str) else 0
        if self.built > MAX_TEXT:
            raise ExpressionError(f"the functions make more than {MAX_TEXT} characters")
        return value

    def made(self, rows: list[Row], fields: int) -> None:
        """Count the cells of `rows` before they are made."""
        self.cells += len(rows) * fields
        if self.cells > MAX_CELLS:
            raise ExpressionError(f"{self.cells} cells are too many, {MAX_CELLS} at most: filter")


def _floor(value: Any, step: int) -> int | None:
    number = _number(value)
    return None if number is None else int(number) // step * step


def _arithmetic(sign: str, one: float | None, other: float | None) -> float | None:
    if one is None or other is None or (sign in "/%" and other == 0):
        return None
    return _number(_ARITHMETIC[sign](one, other))


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
        return searcher(token[1:-1])
    if token[0] in "\"'":
        part = token[1:-1]
        return lambda text: part in text
    raise ExpressionError(f'like takes "text" or /expression/, not {token!r}')


def _dedup(rows: list[Row], names: list[str]) -> list[Row]:
    found: dict[tuple[str, ...], Row] = {}
    for row in rows:
        found.setdefault(tuple(_text(row.get(name)) for name in names), row)
    return list(found.values())
