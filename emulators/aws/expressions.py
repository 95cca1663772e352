"""What the emulators' little languages share: tokens, `or`, `and`, `not`, and regular expressions.

Written here: pyparsing, which moto brings along, took 60 times as long to read a filter, and makes
trees that each language would have to walk to come to its terms.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import regex

T = TypeVar("T")
# What an expression says of a `T`: true, false, or the value that a term has there.
Term = Callable[[T], Any]

MAX_DEPTH = 20
# For all that one expression is asked. The searches run where everybody is answered.
SEARCH_SECONDS = 1.0


class ExpressionError(Exception):
    """A text outside of a language, or more work than it may ask for; the text says where."""


def tokens(text: str, token: re.Pattern[str]) -> list[str]:
    """`text` cut into what `token` matches, without the space around. Raises ExpressionError."""
    found: list[str] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = token.match(text, at)
        if match is None:
            raise ExpressionError(f"cannot read {text[at : at + 20].strip()!r}")
        found.append(match.group().strip())
        at = match.end()
    return found


def searcher(pattern: str) -> Callable[[str], bool]:
    """Whether a text holds what a regular expression says.

    Raises ExpressionError, and so does what it answers once its searches took SEARCH_SECONDS: AWS's
    engine needs no more time for any expression, Python's can need years.
    """
    try:
        expression = regex.compile(pattern)
    except regex.error as error:
        raise ExpressionError(f"/{pattern}/: {error}") from None
    left = SEARCH_SECONDS

    def search(text: str) -> bool:
        nonlocal left
        started = time.monotonic()
        try:
            return expression.search(text, timeout=max(left, 0.001)) is not None
        except TimeoutError:
            raise ExpressionError(f"/{pattern}/ takes too long") from None
        finally:
            left -= time.monotonic() - started

    return search


@dataclass
class Reader:
    """Reads tokens from left to right. Every method raises ExpressionError."""

    tokens: list[str]
    at: int = 0
    depth: int = 0

    def peek(self) -> str | None:
        """The token to be read next, None behind the last."""
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def next(self) -> str:
        """Read a token."""
        token = self.peek()
        if token is None:
            raise ExpressionError("it ends too early")
        self.at += 1
        return token

    def took(self, *words: str) -> str | None:
        """Read a token if it is one of `words`, which are in capitals as the answer is."""
        found = self.peek()
        if found is None or found.upper() not in words:
            return None
        self.at += 1
        return found.upper()

    def skip(self, word: str) -> None:
        """Read `word`, in capitals."""
        if self.took(word) is None:
            raise ExpressionError(f"{word!r} expected, not {self.peek()!r}")

    def end(self) -> None:
        """Nothing is left."""
        if self.peek() is not None:
            raise ExpressionError(f"unexpected {self.peek()!r}")

    @contextmanager
    def nested(self) -> Iterator[None]:
        """One bracket deeper."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError("nested too deep")
        yield
        self.depth -= 1


@dataclass
class Logic(Reader, ABC, Generic[T]):
    """Reads a language's terms with `or`, `and` and `not` between them, by the words it has."""

    OR: ClassVar[tuple[str, ...]] = ("OR",)
    AND: ClassVar[tuple[str, ...]] = ("AND",)
    NOT: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def term(self) -> Term[T]:
        """Read what stands between the words."""

    def whole(self) -> Term[T]:
        """Read all there is."""
        found = self.either()
        self.end()
        return found

    def either(self) -> Term[T]:
        """Read terms with `or` and `and` between them; a single one keeps its value."""
        with self.nested():
            choices = [self.both()]
            while self.took(*self.OR):
                choices.append(self.both())
        return choices[0] if len(choices) == 1 else lambda it: any(one(it) for one in choices)

    def both(self) -> Term[T]:
        """Read terms with `and` between them."""
        needed = [self.negation()]
        while self.took(*self.AND):
            needed.append(self.negation())
        return needed[0] if len(needed) == 1 else lambda it: all(one(it) for one in needed)

    def negation(self) -> Term[T]:
        """Read a term, and any number of `not` in front of it."""
        negations = 0
        while self.took(*self.NOT):
            negations += 1
        found = self.term()
        return found if not negations else lambda it: bool(found(it)) is (negations % 2 == 0)
