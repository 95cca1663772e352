"""Requests checked against AWS's own service models, as botocore ships them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.model import ListShape, MapShape, StructureShape
from botocore.validate import ParamValidator

if TYPE_CHECKING:
    from botocore.model import OperationModel, ServiceModel, Shape


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
    report = ParamValidator().validate(pruned, shape)
    problems = report.generate_report() if report.has_errors() else _too_long(shape, pruned)
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


def _too_long(shape: Shape, value: Any, name: str = "") -> str:
    """Upper bounds, which botocore leaves to the server."""
    most = shape.metadata.get("max")
    if most is not None and isinstance(value, str | list | dict) and len(value) > most:
        return f"{name or shape.name}: {len(value)} long, at most {most}"
    if most is not None and isinstance(value, int | float) and value > most:
        return f"{name or shape.name}: {value}, at most {most}"
    children: list[tuple[Shape, Any, str]] = []
    if isinstance(shape, StructureShape):
        children = [(shape.members[key], one, key) for key, one in value.items()]
    elif isinstance(shape, ListShape):
        children = [(shape.member, one, name) for one in value]
    for child, one, key in children:
        problem = _too_long(child, one, key)
        if problem:
            return problem
    return ""
