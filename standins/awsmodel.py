"""Requests checked against AWS's own service models, as botocore ships them."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.model import ListShape, MapShape, StructureShape
from botocore.validate import ParamValidator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botocore.model import OperationModel, ServiceModel, Shape

# Times to the end of the year 9999: botocore's own check asks the machine's clock, which fails.
_BOUNDS: dict[str, tuple[float, float]] = {
    "integer": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1),
    "timestamp": (0, 253_402_300_799),
}


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


def check(operation: OperationModel, params: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """`params` without nulls and unknown members, and what is wrong with them ("" for nothing)."""
    shape = operation.input_shape
    if shape is None:
        return {}, ""
    pruned = _prune(shape, params)
    problems = _out_of_bounds(shape, pruned)
    if not problems:
        problems = str(ParamValidator().validate(pruned, shape).generate_report())
    return pruned, problems.replace("\n", "; ")


def _prune(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        return {
            name: _prune(shape.members[name], one)
            for name, one in value.items()
            if one is not None and name in shape.members
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_prune(shape.member, one) for one in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {key: _prune(shape.value, one) for key, one in value.items()}
    return value


def _out_of_bounds(shape: Shape, value: Any, name: str = "") -> str:
    """What botocore leaves to the server: upper bounds, and numbers that are no number there."""
    least, most = _BOUNDS.get(shape.type_name, (-math.inf, math.inf))
    most = min(most, shape.metadata.get("max", math.inf))
    if shape.type_name == "timestamp" and not isinstance(value, int | float):
        return f"{name or shape.name}: epoch seconds expected"
    if isinstance(value, str | list | dict) and len(value) > most:
        return f"{name or shape.name}: {len(value)} long, at most {most}"
    if isinstance(value, int | float) and not least <= value <= most:
        return f"{name or shape.name}: {value}, from {least} to {most}"
    children: Iterable[tuple[Shape, Any, str]] = ()
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        children = ((shape.members[key], one, key) for key, one in value.items())
    elif isinstance(shape, ListShape) and isinstance(value, list):
        children = ((shape.member, one, name) for one in value)
    elif isinstance(shape, MapShape) and isinstance(value, dict):
        children = ((shape.value, one, key) for key, one in value.items())
    problems = (_out_of_bounds(*child) for child in children)
    return next(filter(None, problems), "")
