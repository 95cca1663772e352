r"""X-Ray filter expressions: the part of the language that groups and searches here use.

Read: `service("name")` with an optional `{ … }` that is then asked of that service's segments,
`ok` `error` `fault` `throttle` `partial`, `http.status` `http.url` `http.method`
`http.useragent` `http.clientip` `responsetime` `duration` `user` `name`, `annotation.key`,
`annotation[key]`, `group.name`, with `=` `!=` `<` `<=` `>` `>=` `CONTAINS` `BEGINSWITH`
`ENDSWITH`, `AND` `OR` `!` and brackets. Anything else is an error, never "matches nothing".
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from emulators.aws.expressions import ExpressionError, Logic, tokens
from emulators.xray.segments import Timed

Value = str | float | bool


@dataclass(slots=True)
class Subject:
    """What an expression is asked of: the parts of a trace, or those of one service in it."""

    parts: list[Timed]
    duration: float
    response_time: float
    groups: Mapping[str, Predicate] = field(default_factory=dict)

    def values(self, keyword: str) -> Iterable[Value]:
        """Every value that a keyword has here."""
        match keyword:
            case "duration":
                yield self.duration
            case "responsetime":
                yield self.response_time
            case "name":
                yield from (part.name for part in self.parts)
            case "user":
                users = (getattr(part, "user", None) for part in self.parts)
                yield from (user for user in users if user)
            case _:
                for part in self.parts:
                    yield from _http(part, keyword)

    def annotations(self, key: str) -> Iterable[Value]:
        """Every value of an annotation."""
        for part in self.parts:
            if part.annotations and key in part.annotations:
                yield part.annotations[key]

    def flag(self, name: str) -> bool:
        """Whether anything here failed in that way."""
        match name:
            case "ok":
                return not any(part.error or part.fault or part.throttle for part in self.parts)
            case "partial":
                return any(part.in_progress for part in self.parts)
            case _:
                return any(getattr(part, name) for part in self.parts)

    def of_service(self, name: str) -> Subject | None:
        """The part of the trace that one service did, None when it took no part."""
        parts = [part for part in self.parts if part.name == name]
        if not parts:
            return None
        longest = max((part.end_time or part.start_time) - part.start_time for part in parts)
        return Subject(parts, longest, longest, self.groups)


def _http(part: Timed, keyword: str) -> Iterable[Value]:
    if part.http is None:
        return
    request, response = part.http.request, part.http.response
    found: Value | None = None
    if keyword == "http.status":
        found = response.status if response else None
    elif request is not None:
        found = {
            "http.url": request.url,
            "http.method": request.method,
            "http.useragent": request.user_agent,
            "http.clientip": request.client_ip,
        }[keyword]
    if found is not None:
        yield found


Predicate = Callable[[Subject], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<string>\"[^\"]*\"|'[^']*')|(?P<number>-?\d+(?:\.\d+)?)|"
    r"(?P<word>[A-Za-z_][\w.]*)|(?P<sign>!=|<=|>=|[=<>!(){}\[\]]))",
)
_FLAGS = frozenset({"ok", "error", "fault", "throttle", "partial"})
_NUMBERS = frozenset({"http.status", "responsetime", "duration"})
_STRINGS = frozenset(
    {"http.url", "http.method", "http.useragent", "http.clientip", "user", "name"},
)
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TEXT: dict[str, Callable[[str, str], bool]] = {
    "CONTAINS": operator.contains,
    "BEGINSWITH": str.startswith,
    "ENDSWITH": str.endswith,
}


def compile_filter(expression: str, *, of_group: bool = False) -> Predicate:
    """The predicate that `expression` stands for. Raises ExpressionError.

    `of_group`: it is a group's own, and cannot name groups, which could name that one.
    """
    return _Filter(tokens(expression, _TOKEN), of_group=of_group).whole()


@dataclass(kw_only=True)
class _Filter(Logic[Subject]):
    NOT: ClassVar[tuple[str, ...]] = ("!",)

    of_group: bool

    def term(self) -> Predicate:  # noqa: PLR0911 - one for each kind of term
        if self.took("("):
            inner = self.either()
            self.skip(")")
            return inner
        word = self.next()
        keyword = word.lower()
        if keyword in _FLAGS:
            return lambda it: it.flag(keyword)
        if keyword == "service":
            return self.service()
        if keyword in _NUMBERS:
            return self.comparison(lambda it: it.values(keyword), (float,))
        if keyword in _STRINGS:
            return self.comparison(lambda it: it.values(keyword), (str,))
        if keyword == "group.name":
            return self.group()
        if keyword == "annotation":
            self.skip("[")
            key = _unquoted(self.next())
            self.skip("]")
            return self.comparison(lambda it: it.annotations(key), (str, float, bool))
        if keyword.startswith("annotation."):
            key = word[len("annotation.") :]
            return self.comparison(lambda it: it.annotations(key), (str, float, bool))
        raise ExpressionError(f"{word!r} is not known to this emulator")

    def service(self) -> Predicate:
        self.skip("(")
        token = self.next()
        if token[0] not in "\"'":
            raise ExpressionError(f'service takes a "name" here, not {token!r}')
        name = _unquoted(token)
        self.skip(")")
        inner: Predicate | None = None
        if self.took("{"):
            inner = self.either()
            self.skip("}")

        def matches(it: Subject) -> bool:
            of_service = it.of_service(name)
            return of_service is not None and (inner is None or inner(of_service))

        return matches

    def group(self) -> Predicate:
        if self.of_group:
            raise ExpressionError("a group's own filter cannot ask for group.name")
        self.skip("=")
        name = _unquoted(self.next())

        def matches(it: Subject) -> bool:
            return name in it.groups and it.groups[name](it)

        return matches

    def comparison(
        self,
        values: Callable[[Subject], Iterable[Value]],
        kinds: tuple[type, ...],
    ) -> Predicate:
        sign = self.next().upper()
        wanted = _literal(self.next())
        if not isinstance(wanted, kinds):
            raise ExpressionError(f"{wanted!r} cannot be compared here")
        if sign == "=":
            return lambda it: any(_equal(one, wanted) for one in values(it))
        if sign == "!=":
            return lambda it: not any(_equal(one, wanted) for one in values(it))
        if sign in _COMPARISONS and isinstance(wanted, float):
            compare, number = _COMPARISONS[sign], wanted
            return lambda it: any(
                compare(one, number)
                for one in values(it)
                if isinstance(one, int | float) and not isinstance(one, bool)
            )
        if sign in _TEXT and isinstance(wanted, str):
            search, text = _TEXT[sign], wanted
            return lambda it: any(search(one, text) for one in values(it) if isinstance(one, str))
        raise ExpressionError(f"{sign!r} does not go with {wanted!r}")


def _equal(one: Value, wanted: Value) -> bool:
    return isinstance(one, bool) == isinstance(wanted, bool) and one == wanted


def _literal(token: str) -> Value:
    if token[0] in "\"'":
        return token[1:-1]
    if token.lower() in ("true", "false"):
        return token.lower() == "true"
    try:
        return float(token)
    except ValueError:
        raise ExpressionError(f"a value expected, not {token!r}") from None


def _unquoted(token: str) -> str:
    return token[1:-1] if token[0] in "\"'" else token
