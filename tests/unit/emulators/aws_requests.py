"""Requests made from AWS's own models: those that fit, and each way not to.

Made without the emulators' code, so that neither explains the other: what fits a pattern is said by
pydantic's engine here, which is another than the emulators'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import botocore.session
from botocore.model import (
    ListShape,
    MapShape,
    OperationModel,
    ServiceModel,
    Shape,
    StringShape,
    StructureShape,
)
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

SERVICES = ("logs", "cloudwatch", "xray", "sts", "cloudformation", "iam", "sns")
"""All that the emulators let in."""

ACCOUNT = "123456789012"
_NUMBERS = ("integer", "long", "float", "double")
# One of them fits each pattern, another does not.
_TEXTS: tuple[str, ...] = (
    *("a", "1", "ab", "abc", "a1b2c3", "aA0", "/a/", "/", "v1", "a.b", "1.1", "1.1.1", "1.0.0"),
    *("Average", "POST", "*", "a*", "a:b", "a b", "é", "", "\n", "\x00", "<>", "\U0001f600"),
    *(ACCOUNT, "0123456789ABCDEF", "0" * 20, "a" * 64, "a" * 128, "A" * 22, "000000"),
    *("12345678-1234-1234-8234-123456789012", "vpce-0a", "https://a.example/b", "s3://bucket/a"),
    *("default", f"arn:aws:iam::{ACCOUNT}:role/a", f"arn:aws:kms:us-east-1:{ACCOUNT}:key/a-1"),
    *(
        f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/a/b",
        f"o-{'a' * 10}/r-abcd/",
        "p-a1234567",
    ),
    f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:type/resource/a-b-c",
    f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:type/hook/a-b-c",
    f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:type-configuration/resource/a/default",
    f"arn:aws:cloudformation:us-east-1::type/resource/a/{'a' * 40}/x",
    *("AWS::S3::Bucket", "ou-abcd-abcdefgh", "r-abcd", "+12345678", "\x7f"),
)


@dataclass(frozen=True)
class Request:
    """One request, and what of it is not as the model has it (`""` for nothing)."""

    service: str
    operation: str
    params: dict[str, Any]
    wrong: str = ""


@cache
def model(service: str) -> ServiceModel:
    found: ServiceModel = botocore.session.get_session().get_service_model(service)
    return found


def fitting() -> Iterator[Request]:
    """Of every operation: the least that it needs, then with each other member that it has."""
    for service, operation, shape in _operations():
        least = _least(shape)
        yield Request(service, operation, least)
        for name, member in shape.members.items():
            if name not in least and not shape.is_tagged_union:
                yield Request(service, operation, {**least, name: _least(member)})


def violating() -> Iterator[Request]:
    """Of every operation: each constraint of its members violated by itself.

    What lies deeper is asked once in a service, however many operations have it.
    """
    for service in SERVICES:
        seen: set[tuple[str, str]] = set()
        for _, operation, shape in _operations(service):
            top = {(member.name, "") for member in shape.members.values()}
            for wrong, params in _violating(shape, lambda value: value, operation, seen - top):
                yield Request(service, operation, params, wrong)
            seen |= _names(shape)


def _operations(*services: str) -> Iterator[tuple[str, str, StructureShape]]:
    for service in services or SERVICES:
        for name in model(service).operation_names:
            operation: OperationModel = model(service).operation_model(name)
            if operation.input_shape is not None:
                yield service, name, operation.input_shape


def _names(shape: Shape, found: set[tuple[str, str]] | None = None) -> set[tuple[str, str]]:
    found = set() if found is None else found
    if (shape.name, "") not in found:
        found.add((shape.name, ""))
        for _, child in _children(shape):
            _names(child, found)
    return found


def _children(shape: Shape) -> list[tuple[str, Shape]]:
    if isinstance(shape, StructureShape):
        return list(shape.members.items())
    if isinstance(shape, ListShape):
        return [("", shape.member)]
    return [("", shape.value)] if isinstance(shape, MapShape) else []


_SIMPLE = {"boolean": True, "timestamp": 1_700_000_000, "blob": "YQ=="}


def _least(shape: Shape) -> Any:
    """A value that fits, with no more than has to be there."""
    least = shape.metadata.get("min", 0)
    if isinstance(shape, StructureShape):
        names = list(shape.members)[:1] if shape.is_tagged_union else shape.required_members
        return {name: _least(shape.members[name]) for name in names}
    if isinstance(shape, ListShape):
        return [_least(shape.member) for _ in range(max(1, least))]
    if isinstance(shape, MapShape):
        return {_text(shape.key): _least(shape.value)}
    if shape.type_name in _NUMBERS:
        return max(least, 1) if shape.metadata.get("max", 1) >= 1 else least
    return _SIMPLE[shape.type_name] if shape.type_name in _SIMPLE else _text(shape)


def _text(shape: Shape, *, fits: bool = True) -> str:
    """A text that fits, or one that fits but for the pattern."""
    if isinstance(shape, StringShape) and shape.enum and fits:
        return str(shape.enum[0])
    least: int = shape.metadata.get("min", 0)
    most: int = shape.metadata.get("max", 10**9)
    expression: str = shape.metadata.get("pattern", r"[\s\S]*")
    for text in (*_TEXTS, *(one * least for one in "a\x00 é")):
        if max(least, 1 if fits else 0) <= len(text) <= most and _matches(expression, text) is fits:
            return text
    raise AssertionError(f"none of the texts is {fits} for {shape.name}: {expression}")


@cache
def _adapter(expression: str) -> TypeAdapter[str]:
    # Rust's engine takes lookarounds for an error, Python's has no \p{L}: no pattern has both.
    engine: Any = "python-re" if "(?" in expression else "rust-regex"
    expression = expression.replace(r"\uD7FF\uE000-\uFFFD\u10000-\u10FFFF", r"\uFFFD")
    expression = expression.replace(r"\w", "a-zA-Z0-9_") if "[" in expression else expression
    return TypeAdapter(
        Annotated[str, Field(pattern=f"^(?:{expression})$")], config=ConfigDict(regex_engine=engine)
    )


def _matches(expression: str, text: str) -> bool:
    try:
        _adapter(expression).validate_python(text)
    except ValidationError:
        return False
    return True


def _violating(
    shape: Shape, whole: Callable[[Any], Any], where: str, seen: set[tuple[str, str]]
) -> Iterator[tuple[str, Any]]:
    """(what is wrong, the request with it) for this shape and all that is in it."""
    if (shape.name, "") in seen:
        return
    yield from ((f"{where}: {why}", whole(bad)) for why, bad in _bad(shape))
    inner = seen | {(shape.name, "")}
    if isinstance(shape, StructureShape):
        least = {} if shape.is_tagged_union else _least(shape)
        for name, member in shape.members.items():
            yield from _violating(
                member,
                lambda value, name=name: whole({**least, name: value}),  # type: ignore[misc]
                f"{where}.{name}",
                inner,
            )
    elif isinstance(shape, ListShape):
        count = max(1, shape.metadata.get("min", 1))
        yield from _violating(
            shape.member, lambda value: whole([value] * count), f"{where}[]", inner
        )
    elif isinstance(shape, MapShape):
        key = _text(shape.key)
        yield from _violating(shape.value, lambda value: whole({key: value}), f"{where}{{}}", inner)


def _bad(shape: Shape) -> Iterator[tuple[str, Any]]:
    if isinstance(shape, StructureShape):
        fits = _least(shape)
        for name in shape.required_members:
            yield f"no {name}", {one: value for one, value in fits.items() if one != name}
        if shape.is_tagged_union:
            yield "nothing of a union", {}
    if shape.type_name == "string":
        yield from _bad_text(shape)
    yield from _out_of_bounds(shape, shape.metadata.get("min"), shape.metadata.get("max"))


def _bad_text(shape: Shape) -> Iterator[tuple[str, Any]]:
    if isinstance(shape, StringShape) and shape.enum:
        yield "none of the enum", "no-such-value"
    expression = shape.metadata.get("pattern", ".*")
    if not _fits_all(expression):
        yield f"not {expression}", _text(shape, fits=False)


def _out_of_bounds(shape: Shape, least: Any, most: Any) -> Iterator[tuple[str, Any]]:
    if shape.type_name in _NUMBERS:
        if least is not None:
            yield f"less than {least}", least - 1
        if most is not None:
            yield f"more than {most}", most + 1
        return
    if least:
        yield f"shorter than {least}", _long(shape, least - 1)
    # Longer ones than the emulators read at all are no matter of the model.
    if most is not None and most < 2**20:
        yield f"longer than {most}", _long(shape, most + 1)


def _long(shape: Shape, length: int) -> Any:
    if isinstance(shape, ListShape):
        return [_least(shape.member)] * length
    if isinstance(shape, MapShape):
        return {f"k{at}": _least(shape.value) for at in range(length)}
    return "a" * length


def _fits_all(expression: str) -> bool:
    """`.*` and the like refuse line breaks at most, and these only in some engines."""
    return all(_matches(expression, text) for text in _TEXTS if text and "\n" not in text)
