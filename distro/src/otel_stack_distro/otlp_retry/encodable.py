"""What OTLP cannot carry becomes text, so that one value does not cost its batch.

Upstream encodes a batch as a whole: one name or one body that protobuf refuses, a lone surrogate of
a file's name for one, and the batch is gone; of an attribute it drops the value.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import Metric, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

DEEPEST = 32
"""Levels of lists and mappings within a value; what is below becomes `…`."""

_LEAST_INT, _MOST_INT = -(2**63), 2**63 - 1

_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}

Item = TypeVar("Item")


def span(given: ReadableSpan) -> ReadableSpan:
    """`given` itself where all of it can be encoded, else what stands for it."""
    parts: dict[str, Any] = {}
    _note(parts, "name", given.name, _text)
    _note(parts, "attributes", given.attributes, _attributes)
    _note(parts, "events", given.events, _each(_event))
    _note(parts, "links", given.links, _each(_link))
    _note(parts, "resource", given.resource, _resource)
    _note(parts, "instrumentation_scope", given.instrumentation_scope, _scope)
    if given.status.description:
        _note(parts, "status", given.status, _status)
    return _instead(given, parts)


def log(given: ReadableLogRecord) -> ReadableLogRecord:
    """`given` itself where all of it can be encoded, else what stands for it."""
    inner: dict[str, Any] = {}
    _note(inner, "body", given.log_record.body, value)
    _note(inner, "attributes", given.log_record.attributes, _attributes)
    _note(inner, "severity_text", given.log_record.severity_text, _text)
    _note(inner, "event_name", given.log_record.event_name, _text)
    outer: dict[str, Any] = {}
    _note(outer, "resource", given.resource, _resource)
    _note(outer, "instrumentation_scope", given.instrumentation_scope, _scope)
    if inner:
        outer["log_record"] = _instead(given.log_record, inner)
    return _instead(given, outer)


def metrics(given: MetricsData, keep: Callable[[Metric], bool] = lambda _: True) -> MetricsData:
    """The metrics of `given` to `keep`, with text in place of what cannot be encoded."""
    return MetricsData(
        [
            dataclasses.replace(
                resource,
                resource=_resource(resource.resource),
                scope_metrics=[
                    dataclasses.replace(
                        scope,
                        scope=cast("InstrumentationScope", _scope(scope.scope)),
                        metrics=[one for each in scope.metrics if keep(one := _metric(each))],
                    )
                    for scope in resource.scope_metrics
                ],
            )
            for resource in given.resource_metrics
        ]
    )


def value(given: Any, within: tuple[int, ...] = ()) -> Any:
    """An attribute's value or a log's body as OTLP has it.

    `within`: the containers that hold it, by id. One that holds itself is cut there.

    NaN and the infinities by their names in protobuf's JSON: OTLP could carry them, vendors refuse
    the whole item.
    """
    if _sound(given) or given is None or isinstance(given, bytes):
        return given
    if isinstance(given, (bytearray, memoryview)):
        return bytes(given)
    if isinstance(given, float):
        return float(given) if math.isfinite(given) else _NOT_FINITE[str(float(given))]
    if isinstance(given, int) and _LEAST_INT <= given <= _MOST_INT:
        return int(given)
    if isinstance(given, (Mapping, Sequence, set, frozenset)) and not isinstance(given, str):
        return _held(given, within)
    return _text(given)


def _held(given: Any, within: tuple[int, ...]) -> Any:
    if len(within) == DEEPEST or id(given) in within:
        return "…"
    within = (*within, id(given))
    if isinstance(given, Mapping):
        return {_text(name): value(held, within) for name, held in given.items()}
    return [value(held, within) for held in given]


def _sound(given: Any) -> bool:
    """Whether it is one of the plain values, of which nearly all attributes are."""
    kind = type(given)
    if kind is str:
        return given.isascii() or _without_surrogates(given) is given
    if kind is int:
        return bool(_LEAST_INT <= given <= _MOST_INT)
    return kind is bool or (kind is float and math.isfinite(given))


def _text(given: Any) -> Any:
    """None, which is no text, stays."""
    if given is None:
        return None
    if not isinstance(given, str):
        try:
            given = str(given)
        except Exception as wrong:  # noqa: BLE001 - it is the app's, and may raise anything
            given = f"<{type(given).__name__}: {type(wrong).__name__} in its str()>"
    return _without_surrogates(given)


def _without_surrogates(text: str) -> str:
    """U+FFFD for a lone one; two that belong together are the one character that they mean."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _attributes(given: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if not given or all(_sound(name) and _sound(held) for name, held in given.items()):
        return given
    return {_text(name): value(held) for name, held in given.items()}


def _event(given: Any) -> Any:
    parts: dict[str, Any] = {}
    _note(parts, "name", given.name, _text)
    _note(parts, "attributes", given.attributes, _attributes)
    return _instead(given, parts)


def _link(given: Any) -> Any:
    parts: dict[str, Any] = {}
    _note(parts, "attributes", given.attributes, _attributes)
    return _instead(given, parts)


def _status(given: Any) -> Any:
    parts: dict[str, Any] = {}
    _note(parts, "description", given.description, _text)
    return _instead(given, parts)


# A process has one resource, and looking through it takes as long as through a span.
_resources: dict[int, tuple[Resource, Resource]] = {}
_MOST_RESOURCES = 16


def _resource(given: Resource) -> Resource:
    known = _resources.get(id(given))
    if known is None or known[0] is not given:
        if len(_resources) >= _MOST_RESOURCES:
            _resources.clear()
        known = _resources[id(given)] = given, _repaired_resource(given)
    return known[1]


def _repaired_resource(given: Resource) -> Resource:
    attributes, schema_url = _attributes(given.attributes), _text(given.schema_url)
    if attributes is given.attributes and schema_url is given.schema_url:
        return given
    return Resource(dict(attributes or {}), schema_url)


def _scope(given: InstrumentationScope | None) -> InstrumentationScope | None:
    if given is None:
        return None
    name, version, schema_url = (
        _text(part) for part in (given.name, given.version, given.schema_url)
    )
    attributes = _attributes(given.attributes)
    if (
        name is given.name
        and version is given.version
        and schema_url is given.schema_url
        and attributes is given.attributes
    ):
        return given
    return InstrumentationScope(name, version, schema_url, dict(attributes or {}))


def _metric(given: Metric) -> Metric:
    points = [_point(point) for point in given.data.data_points]
    return dataclasses.replace(
        given,
        name=_text(given.name),
        description=_text(given.description),
        unit=_text(given.unit),
        data=dataclasses.replace(given.data, data_points=cast("Any", points)),
    )


def _point(given: Any) -> Any:
    parts: dict[str, Any] = {}
    _note(parts, "attributes", given.attributes, _attributes)
    _note(parts, "exemplars", given.exemplars, _each(_exemplar))
    if hasattr(given, "value"):
        _note(parts, "value", given.value, _number)
    return dataclasses.replace(given, **parts) if parts else given


def _exemplar(given: Any) -> Any:
    parts: dict[str, Any] = {}
    _note(parts, "filtered_attributes", given.filtered_attributes, _attributes)
    _note(parts, "value", given.value, _number)
    return dataclasses.replace(given, **parts) if parts else given


def _number(given: Any) -> Any:
    """The nearest float for what is beyond 64 bits, and for a Decimal."""
    if type(given) is float or (type(given) is int and _LEAST_INT <= given <= _MOST_INT):
        return given
    try:
        return float(given)
    except OverflowError:
        return math.copysign(math.inf, given)
    except (TypeError, ValueError):
        return given


def _note(parts: dict[str, Any], name: str, given: Any, repair: Callable[[Any], Any]) -> None:
    repaired = repair(given)
    if repaired is not given:
        parts[name] = repaired


def _each(repair: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`repair` for every one of a sequence, which stays itself where none is repaired."""

    def of_all(given: Sequence[Any]) -> Sequence[Any]:
        repaired = [repair(one) for one in given or ()]
        if all(new is old for new, old in zip(repaired, given or (), strict=True)):
            return given
        return repaired

    return of_all


class _Instead:
    """What it stands for, with some of its parts replaced."""

    def __init__(self, whole: object, parts: Mapping[str, Any]) -> None:
        vars(self).update(parts)
        self._whole = whole

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)


def _instead(given: Item, parts: Mapping[str, Any]) -> Item:
    return cast("Item", _Instead(given, parts)) if parts else given
