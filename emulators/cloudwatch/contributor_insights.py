"""Contributor Insights: who contributes most to what a log group holds.

Read: rules over JSON logs, with up to four keys and four filters. As AWS documents it, a field is
`$.a.b` or `$.a[0]`: letters, digits and `_`, so that a name with a dot in it cannot be said.
"""

from __future__ import annotations

import json
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_pascal

from emulators.aws.vendor import AwsError
from emulators.cloudwatch.metric_math import Series
from emulators.cloudwatch.patterns import parse as parse_event
from emulators.cloudwatch.patterns import select

Json = dict[str, Any]
# (group, stream, epoch ms, message)
Event = tuple[str, str, int, str]
Contributors = Counter[tuple[str, ...]]

LogField = Annotated[
    str, StringConstraints(pattern=r"^\$(\.[A-Za-z0-9_]+(\[[0-9]{1,6}\])*)+$", max_length=256)
]
Texts = Annotated[list[str], Field(min_length=1, max_length=10)]

_NUMBERS: dict[str, Callable[[float, float], bool]] = {
    "greater_than": operator.gt,
    "less_than": operator.lt,
    "equal_to": operator.eq,
    "not_equal_to": operator.ne,
}
_TEXTS: dict[str, Callable[[str, list[str]], bool]] = {
    "in_": lambda found, values: found in values,
    "not_in": lambda found, values: found not in values,
    "starts_with": lambda found, values: found.startswith(tuple(values)),
}
METRICS: dict[str, Callable[[Contributors], float]] = {
    "UniqueContributors": len,
    "MaxContributorValue": lambda found: max(found.values()),
    "SampleCount": lambda found: found.total(),
    "Sum": lambda found: found.total(),
    "Minimum": lambda found: min(found.values()),
    "Maximum": lambda found: max(found.values()),
    "Average": lambda found: found.total() / len(found),
}


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_pascal)


class Filter(_Shape):
    """One operator, of those that are documented."""

    match: LogField
    in_: Texts | None = Field(None, alias="In")
    not_in: Texts | None = None
    starts_with: Texts | None = None
    greater_than: float | None = None
    less_than: float | None = None
    equal_to: float | None = None
    not_equal_to: float | None = None
    is_present: bool | None = None

    @model_validator(mode="after")
    def _one_operator(self) -> Self:
        if len(self.model_fields_set) != 2:  # noqa: PLR2004 - the field and its operator
            raise ValueError("a filter has Match and one operator")
        return self

    def passes(self, tree: Any) -> bool:
        """Whether an event, parsed, is let through."""
        found = select(self.match, tree)
        [name] = self.model_fields_set - {"match"}
        wanted = getattr(self, name)
        if name == "is_present":
            return (found is not None) is wanted
        if name in _NUMBERS:
            return _is_number(found) and _NUMBERS[name](found, wanted)
        return _TEXTS[name](_text(found), wanted)


class Contribution(_Shape):
    """Who is counted, of which events. `value_of` is None where occurrences are counted."""

    keys: Annotated[list[LogField], Field(min_length=1, max_length=4)]
    filters: Annotated[list[Filter], Field(max_length=4)] = []
    value_of: LogField | None = None


class Schema(_Shape):
    """The only one that there is for rules of one's own."""

    name: Literal["CloudWatchLogRule"]
    version: Literal[1]


class Rule(_Shape):
    """A rule's definition."""

    schema_: Schema = Field(alias="Schema")
    log_group_names: Annotated[list[str], Field(min_length=1)]
    log_format: Literal["JSON"]
    contribution: Contribution
    aggregate_on: Literal["Count", "Sum"]

    @model_validator(mode="after")
    def _value_of_a_sum(self) -> Self:
        if (self.aggregate_on == "Sum") != (self.contribution.value_of is not None):
            raise ValueError("AggregateOn is Count, or Sum together with ValueOf")
        return self


def parse(definition: str) -> Rule:
    """A rule from its definition. Raises AwsError for one that CloudWatch would not take."""
    try:
        return Rule.model_validate_json(definition)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        told = f"Invalid Contributor Insights rule: {where}: {first['msg']}"
        raise AwsError("InvalidParameterValue", told) from None


def contributors(rule: Rule, events: Iterable[Event], start_ms: int, end_ms: int) -> Contributors:
    """What each contributor adds up to in events from `start_ms` to before `end_ms`."""
    found: Contributors = Counter()
    asked = rule.contribution
    for group, _, at, message in events:
        if not start_ms <= at < end_ms or not _covers(rule.log_group_names, group):
            continue
        tree = parse_event(message)
        if tree is None or not all(one.passes(tree) for one in asked.filters):
            continue
        key = tuple(_text(select(one, tree)) for one in asked.keys)
        value = 1 if asked.value_of is None else select(asked.value_of, tree)
        # An event without one of the keys has no contributor.
        if "" not in key and _is_number(value):
            found[key] += value
    return found


def metric(
    rule: Rule, name: str, events: Sequence[Event], windows: Iterable[tuple[int, int]]
) -> Series:
    """One of METRICS for each of `windows` (from and to before which, in epoch ms)."""
    found = (contributors(rule, events, start, end) for start, end in windows)
    return [float(METRICS[name](each)) if each else None for each in found]


def report(rule: Rule, ask: Json, events: Iterable[Event]) -> Json:
    """GetInsightRuleReport's answer, without the metrics' data points."""
    start, end = (int(float(ask[name]) * 1000) for name in ("StartTime", "EndTime"))
    found = contributors(rule, events, start, end)
    return {
        "KeyLabels": rule.contribution.keys,
        "AggregationStatistic": "Sum" if rule.aggregate_on == "Sum" else "SampleCount",
        "AggregateValue": float(found.total()),
        "ApproximateUniqueCount": len(found),
        "Contributors": [
            {"Keys": list(key), "ApproximateAggregateValue": float(value), "Datapoints": []}
            for key, value in found.most_common(ask.get("MaxContributorCount", 10))
        ],
    }


def _covers(groups: Iterable[str], name: str) -> bool:
    return any(
        name.startswith(one.removesuffix("*")) if one.endswith("*") else name == one
        for one in groups
    )


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
