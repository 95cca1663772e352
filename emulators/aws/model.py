"""Requests checked against AWS's own service models, as botocore ships them.

botocore's own validator leaves patterns, enums, upper bounds and unions to the server. Here is the
server: types first, as AWS's readers do, then every constraint of the model, told in AWS's words.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
import regex
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from botocore.utils import parse_timestamp

# (value, where, complaints) → the value without nulls and unknown members.
_Check = Callable[[Any, str, list[str]], Any]
_Complaints = Callable[[Any], "Iterator[str]"]

# Epoch seconds to the end of the year 9999.
_BOUNDS: dict[str, tuple[float, float]] = {
    "integer": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1),
    "timestamp": (0, 253_402_300_799),
}
_NUMBERS = frozenset({"integer", "long", "float", "double", "timestamp"})
_PYTHON: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float),
    "boolean": (bool,),
    "string": (str,),
    "blob": (str,),
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
}
# Of what was sent, in a complaint.
_SHOWN = 200
# Complaints in one answer; their number is told whole.
_MOST = 10
# AWS's engine needs no more for any of its patterns, Python's can need years.
_MATCH_SECONDS = 1.0


class WrongTypeError(ValueError):
    """A value that AWS cannot read as what its model says."""


class ConstraintError(ValueError):
    """Values that AWS can read and its model does not allow."""


@cache
def service(name: str) -> ServiceModel:
    """The model of one service."""
    return botocore.session.get_session().get_service_model(name)


@cache
def routes(name: str) -> dict[str, OperationModel]:
    """A rest-json service's operations by path."""
    model = service(name)
    operations = (model.operation_model(one) for one in model.operation_names)
    return {operation.http["requestUri"]: operation for operation in operations}


def check(operation: OperationModel, params: dict[str, Any]) -> dict[str, Any]:
    """`params` without nulls and unknown members, which AWS passes over.

    Raises WrongTypeError, ConstraintError.
    """
    shape = operation.input_shape
    if shape is None:
        return {}
    complaints: list[str] = []
    pruned: dict[str, Any] = _checker(operation.service_model, shape)(params, "", complaints)
    if complaints:
        count = len(complaints)
        errors = "validation error" if count == 1 else "validation errors"
        raise ConstraintError(f"{count} {errors} detected: {'; '.join(complaints[:_MOST])}")
    return pruned


def fits(service_name: str, shape_name: str, value: Any) -> str:
    """What is wrong with a value of one shape, "" for nothing."""
    model = service(service_name)
    complaints: list[str] = []
    try:
        _checker(model, model.shape_for(shape_name))(value, shape_name, complaints)
    except WrongTypeError as error:
        return str(error)
    return "; ".join(complaints)


def from_query(operation: OperationModel, form: Mapping[str, str]) -> dict[str, Any]:
    """The parameters in a form of the query protocol: `Tags.member.1.Key=a`.

    What is no number where the model has one stays a text, for `check` to refuse.
    Raises WrongTypeError.
    """
    tree: dict[str, Any] = {}
    for key, value in form.items():
        *path, last = key.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise WrongTypeError(f"{key} is inside of what has a value")
        if last in node:
            raise WrongTypeError(f"{key} has a value and members")
        node[last] = value
    shape = operation.input_shape
    found: dict[str, Any] = {} if shape is None else _read(shape, tree)
    return found


def _read(shape: Shape, node: Any) -> Any:
    if isinstance(shape, StructureShape) and isinstance(node, dict):
        named = ((name, one, _name(one, name)) for name, one in shape.members.items())
        return {name: _read(one, node[sent]) for name, one, sent in named if sent in node}
    if isinstance(shape, ListShape):
        # An empty list is sent as an empty text.
        items = [] if node == "" else _numbered(node, _name(shape.member, "member"))
        return [_read(shape.member, one) for one in items]
    if isinstance(shape, MapShape):
        key, value = _name(shape.key, "key"), _name(shape.value, "value")
        entries = [] if node == "" else _numbered(node, "entry")
        if not all(isinstance(one, dict) and isinstance(one.get(key), str) for one in entries):
            raise WrongTypeError(f"an entry of a map needs {key}")
        return {one[key]: _read(shape.value, one.get(value)) for one in entries}
    return _scalar(shape.type_name, node)


def _name(shape: Shape, default: str) -> str:
    return str(shape.serialization.get("name", default))


def _numbered(node: Any, name: str) -> list[Any]:
    found = node.get(name, {}) if isinstance(node, dict) else None
    if not isinstance(found, dict) or not all(one.isdecimal() for one in found):
        raise WrongTypeError(f"{name}.1, {name}.2 … expected")
    return [found[one] for one in sorted(found, key=int)]


_READERS: dict[str, Callable[[str], Any]] = {
    "boolean": lambda text: {"true": True, "false": False}[text.lower()],
    "timestamp": lambda text: parse_timestamp(text).timestamp(),
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
}


def _scalar(type_name: str, text: Any) -> Any:
    if not isinstance(text, str) or type_name not in _READERS:
        return text
    try:
        return _READERS[type_name](text)
    except (KeyError, ValueError, OverflowError):
        return text


# By service and shape. Made once: a batch has 10,000 events.
_CHECKS: dict[tuple[str, str], _Check] = {}


def _checker(model: ServiceModel, shape: Shape) -> _Check:
    key = model.service_name, shape.name
    if key not in _CHECKS:

        def itself(value: Any, where: str, complaints: list[str]) -> Any:
            return _CHECKS[key](value, where, complaints)

        # There before it is made: a shape may hold itself.
        _CHECKS[key] = itself
        _CHECKS[key] = _make(model, shape)
    return _CHECKS[key]


def _make(model: ServiceModel, shape: Shape) -> _Check:
    if shape.metadata.get("document"):
        return lambda value, _where, _complaints: value
    wrong = _wrong_type(shape)
    constraints = _constraints(shape)
    inside = _inside(model, shape)

    def check_one(value: Any, where: str, complaints: list[str]) -> Any:
        if wrong(value):
            kind = "an" if shape.type_name == "integer" else "a"
            raise WrongTypeError(
                f"{type(value).__name__} at '{where}' can not be converted to {kind} "
                f"{shape.type_name}"
            )
        pruned = inside(value, where, complaints)
        for constraint in constraints(pruned):
            shown = str(value)[:_SHOWN]
            complaints.append(
                f"Value '{shown}' at '{where}' failed to satisfy constraint: {constraint}"
            )
        return pruned

    return check_one


def _wrong_type(shape: Shape) -> Callable[[Any], bool]:
    known = _PYTHON.get(shape.type_name)
    if known is None:
        raise TypeError(f"{shape.name} is a {shape.type_name}, which no model here had so far")
    boolean = shape.type_name == "boolean"
    least, most = _BOUNDS.get(shape.type_name, (-math.inf, math.inf))
    blob = shape.type_name == "blob"

    def wrong(value: Any) -> bool:
        if not isinstance(value, known) or isinstance(value, bool) is not boolean:
            return True
        if isinstance(value, int | float):
            return not least <= value <= most
        return blob and not _is_base64(str(value))

    return wrong


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _inside(model: ServiceModel, shape: Shape) -> _Check:
    if isinstance(shape, StructureShape):
        return _structure(model, shape)
    if isinstance(shape, ListShape):
        item = _checker(model, shape.member)
        return lambda value, where, complaints: [
            item(one, f"{where}.{at}.member", complaints)
            for at, one in enumerate(value, 1)
            if one is not None
        ]
    if isinstance(shape, MapShape):
        key, item = _checker(model, shape.key), _checker(model, shape.value)
        return lambda value, where, complaints: {
            key(name, f"{where}.key", complaints): item(one, f"{where}.{name}", complaints)
            for name, one in value.items()
            if one is not None
        }
    return lambda value, _where, _complaints: value


def _structure(model: ServiceModel, shape: StructureShape) -> _Check:
    members = {
        # AWS names members by a small first letter, whatever its model says.
        name: (_checker(model, one), name[0].lower() + name[1:])
        for name, one in shape.members.items()
    }
    required = [(name, members[name][1]) for name in shape.required_members]
    union = shape.is_tagged_union

    def check_members(value: Any, where: str, complaints: list[str]) -> Any:
        prefix = f"{where}." if where else ""
        pruned = {
            name: members[name][0](one, prefix + members[name][1], complaints)
            for name, one in value.items()
            if one is not None and name in members
        }
        complaints += [
            f"Value null at '{prefix}{shown}' failed to satisfy constraint: Member must not be null"
            for name, shown in required
            if name not in pruned
        ]
        if union and len(pruned) != 1:
            complaints.append(
                f"Value at '{where}' failed to satisfy constraint: "
                f"Exactly one of [{', '.join(members)}] must be set"
            )
        return pruned

    return check_members


def _constraints(shape: Shape) -> _Complaints:
    """What the model bounds of a single value, in the words of AWS."""
    rules: list[tuple[Callable[[Any], bool], str]] = []
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name in _NUMBERS:
        if least is not None:
            rules.append(
                (
                    lambda value: value < least,
                    f"Member must have value greater than or equal to {least}",
                )
            )
        if most is not None:
            rules.append(
                (
                    lambda value: value > most,
                    f"Member must have value less than or equal to {most}",
                )
            )
    else:
        if least:
            rules.append(
                (
                    lambda value: len(value) < least,
                    f"Member must have length greater than or equal to {least}",
                )
            )
        if most is not None:
            rules.append(
                (
                    lambda value: len(value) > most,
                    f"Member must have length less than or equal to {most}",
                )
            )
    enum = getattr(shape, "enum", None)
    if enum:
        known = frozenset(enum)
        rules.append(
            (
                lambda value: value not in known,
                f"Member must satisfy enum value set: [{', '.join(enum)}]",
            )
        )
    if "pattern" in shape.metadata:
        fits = pattern(shape.metadata["pattern"])
        rules.append(
            (
                lambda value: not fits(value),
                "Member must satisfy regular expression pattern: " + shape.metadata["pattern"],
            )
        )
    return lambda value: (text for broken, text in rules if broken(value))


@cache
def pattern(text: str) -> Callable[[str], bool]:
    r"""Whether a whole text fits a pattern of AWS's models.

    They are Java's: `\w`, `\d` and `\s` are ASCII there, and `\p{L}` is every letter; the flag that
    makes the first so takes the letters of the second away. No pattern has both.
    """
    expression = regex.compile(text, regex.UNICODE if r"\p{" in text else regex.ASCII)

    def fits(value: str) -> bool:
        try:
            return expression.fullmatch(value, timeout=_MATCH_SECONDS) is not None
        except TimeoutError:
            return False

    return fits
