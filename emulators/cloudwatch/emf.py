"""Embedded metric format: metrics that CloudWatch takes out of log events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from emulators.aws import model as awsmodel
from emulators.core import strict_json

Json = dict[str, Any]

MAX_VALUES = 100
# The end of the year 9999.
MAX_TIME_MS = 253_402_300_799_999


class EmfError(Exception):
    """A log event that means to be EMF and is not: no metric comes of it, the event stays."""


class Definition(BaseModel):
    """One metric of a directive."""

    model_config = ConfigDict(extra="ignore")

    Name: Annotated[StrictStr, Field(min_length=1, max_length=1024)]
    Unit: StrictStr | None = None
    StorageResolution: StrictInt | None = None


_Dimension = Annotated[StrictStr, Field(min_length=1, max_length=250)]


class Directive(BaseModel):
    """Which members of the event are metrics, by which dimensions."""

    model_config = ConfigDict(extra="ignore")

    Namespace: Annotated[StrictStr, Field(min_length=1, max_length=1024)]
    Dimensions: list[Annotated[list[_Dimension], Field(max_length=30)]] = Field(default=[[]])
    Metrics: Annotated[list[Definition], Field(max_length=100)]


class Metadata(BaseModel):
    """`_aws`. The time is milliseconds since the epoch."""

    model_config = ConfigDict(extra="ignore")

    Timestamp: Annotated[StrictInt, Field(ge=0, le=MAX_TIME_MS)]
    CloudWatchMetrics: list[Directive]


@dataclass(frozen=True, slots=True)
class MetricValue:
    """What CloudWatch gets. `values` are (value, how often); time is epoch milliseconds."""

    namespace: str
    name: str
    unit: str
    dimensions: dict[str, str]
    timestamp: int
    values: tuple[tuple[float, float], ...] = ()
    # Sum, Minimum, Maximum, SampleCount; instead of values.
    statistics: tuple[float, float, float, float] | None = None

    @property
    def total(self) -> float:
        """What it adds to a sum."""
        if self.statistics is None:
            return sum(value * times for value, times in self.values)
        return self.statistics[0]

    def as_json(self) -> Json:
        """For the query API."""
        shown: Json = {
            "namespace": self.namespace,
            "name": self.name,
            "unit": self.unit,
            "dimensions": self.dimensions,
            "timestamp": self.timestamp,
        }
        if self.statistics is None:
            return {**shown, "values": [list(pair) for pair in self.values]}
        keys = ("sum", "min", "max", "count")
        return shown | {"statistics": dict(zip(keys, self.statistics, strict=True))}


def extract(message: str) -> list[MetricValue]:
    """The metrics in a log event: none when it is no EMF. Raises EmfError when it is bad EMF."""
    if '"_aws"' not in message:
        return []
    try:
        tree = strict_json.loads(message)
    except ValueError:
        return []
    if not isinstance(tree, dict) or "_aws" not in tree:
        return []
    try:
        metadata = Metadata.model_validate(tree["_aws"])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in ("_aws", *first["loc"]))
        raise EmfError(f"{where}: {first['msg']}") from None
    found: list[MetricValue] = []
    for directive in metadata.CloudWatchMetrics:
        _check(directive)
        names = [metric.Name for metric in directive.Metrics]
        if len(set(names)) != len(names):
            raise EmfError(f"a metric is named twice: {', '.join(names)}")
        for metric in directive.Metrics:
            values, statistics = _measured(tree, metric.Name)
            for dimension_set in directive.Dimensions:
                dimensions = {name: _dimension(tree, name) for name in dimension_set}
                found.append(
                    MetricValue(
                        directive.Namespace,
                        metric.Name,
                        metric.Unit or "None",
                        dimensions,
                        metadata.Timestamp,
                        values,
                        statistics,
                    ),
                )
    return found


def _check(directive: Directive) -> None:
    """Units and namespaces are those of PutMetricData; the lengths are EMF's own."""
    wrong = awsmodel.fits("cloudwatch", "Namespace", directive.Namespace[:255])
    for unit in dict.fromkeys(metric.Unit for metric in directive.Metrics if metric.Unit):
        wrong = wrong or awsmodel.fits("cloudwatch", "StandardUnit", unit)
    if wrong:
        raise EmfError(wrong)


def _dimension(tree: Json, name: str) -> str:
    value = tree.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= 1024:  # noqa: PLR2004 - documented
        raise EmfError(f"dimension {name!r} must be a member of the event, 1 to 1024 characters")
    return value


_Measured = tuple[tuple[tuple[float, float], ...], tuple[float, float, float, float] | None]


def _measured(tree: Json, name: str) -> _Measured:
    value = tree.get(name)
    if isinstance(value, dict):
        if "Values" in value:
            numbers = _numbers(name, value["Values"])
            counts = _numbers(name, value.get("Counts", [1] * len(numbers)))
            if len(counts) != len(numbers):
                raise EmfError(f"metric {name!r}: Values and Counts differ in length")
            return tuple(zip(numbers, counts, strict=True)), None
        keys = ("Sum", "Min", "Max", "Count")
        total, least, most, count = _numbers(name, [value.get(key) for key in keys])
        return (), (total, least, most, count)
    numbers = _numbers(name, value if isinstance(value, list) else [value])
    return tuple((number, 1.0) for number in numbers), None


def _numbers(name: str, values: Any) -> list[float]:
    if not isinstance(values, list) or len(values) > MAX_VALUES:
        raise EmfError(f"metric {name!r}: at most {MAX_VALUES} values")
    for one in values:
        if isinstance(one, bool) or not isinstance(one, int | float):
            raise EmfError(f"metric {name!r} must be a member of the event and numeric")
    return [float(one) for one in values]
