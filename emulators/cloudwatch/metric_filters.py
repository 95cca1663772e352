"""Metric filters: log events that become metric values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from emulators.aws.expressions import ExpressionError
from emulators.aws.vendor import AwsError
from emulators.cloudwatch.emf import MetricValue
from emulators.cloudwatch.patterns import compile_pattern, parse, select

Json = dict[str, Any]


def check(filter_: Json) -> None:
    """Refuse a filter whose pattern or transformations cannot be read. Raises AwsError."""
    changes = filter_["metricTransformations"]
    try:
        compile_pattern(filter_["filterPattern"])
        for change in changes:
            if change["metricValue"].startswith("$"):
                select(change["metricValue"], {})
            elif not math.isfinite(float(change["metricValue"])):
                raise ValueError(f"metricValue {change['metricValue']!r} is no number")  # noqa: TRY301
    except (ExpressionError, ValueError) as error:
        raise AwsError("InvalidParameterException", f"Invalid metric filter: {error}") from None
    if any(one.get("dimensions") and "defaultValue" in one for one in changes):
        raise AwsError(
            "InvalidParameterException",
            "Invalid metric filter: dimensions and defaultValue exclude each other",
        )


def extract(filters: Iterable[Json], events: Iterable[Json]) -> Iterator[MetricValue]:
    """The metric values that `filters` take out of `events` (timestamp ms, message)."""
    readers = [(compile_pattern(one["filterPattern"]), one) for one in filters]
    for event in events:
        for matches, filter_ in readers:
            matched = matches(event["message"])
            for change in filter_["metricTransformations"]:
                yield from _value(change, event, matched=matched)


def _value(change: Json, event: Json, *, matched: bool) -> Iterator[MetricValue]:
    tree = parse(event["message"])
    number: Any = change.get("defaultValue")
    if matched:
        wanted = change["metricValue"]
        number = select(wanted, tree) if wanted.startswith("$") else wanted
    try:
        value = float(number)
    except (TypeError, ValueError):
        return
    if not math.isfinite(value):
        return
    dimensions: dict[str, str] = {}
    for name, selector in (change.get("dimensions") or {}).items():
        found = select(selector, tree)
        if not isinstance(found, str | int | float):
            # CloudWatch reports no value when a dimension is missing.
            return
        dimensions[name] = str(found)
    yield MetricValue(
        change["metricNamespace"],
        change["metricName"],
        change.get("unit", "None"),
        dimensions,
        event["timestamp"],
        ((value, 1.0),),
    )
