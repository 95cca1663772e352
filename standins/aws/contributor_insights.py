"""Contributor Insights: who contributes most to what a log group holds.

Read: rules over JSON logs, with up to four keys and four filters. As AWS documents it, a field is
`$.a.b` or `$.a[0]`: letters, digits and `_`, so that a name with a dot in it cannot be said.
"""

from __future__ import annotations

import json
import operator
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from standins.aws.patterns import parse as parse_event
from standins.aws.patterns import select
from standins.awsvendor import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from standins.aws.metric_math import Series

Json = dict[str, Any]
# (group, stream, epoch ms, message)
Event = tuple[str, str, int, str]
Contributors = Counter[tuple[str, ...]]

MOST_KEYS = MOST_FILTERS = 4
MOST_VALUES = 10
_FIELD = re.compile(r"\$(?:\.\w+(?:\[\d+\])*)+", re.ASCII)
_SCHEMA = {"Name": "CloudWatchLogRule", "Version": 1}
_MEMBERS = {"Schema", "LogGroupNames", "LogFormat", "Contribution", "AggregateOn"}
_NUMBERS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThan": operator.gt,
    "LessThan": operator.lt,
    "EqualTo": operator.eq,
    "NotEqualTo": operator.ne,
}
_TEXTS: dict[str, Callable[[str, list[str]], bool]] = {
    "In": lambda found, values: found in values,
    "NotIn": lambda found, values: found not in values,
    "StartsWith": lambda found, values: found.startswith(tuple(values)),
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


@dataclass(frozen=True, slots=True)
class Rule:
    """`value_of` is None where occurrences are counted."""

    groups: tuple[str, ...]
    keys: tuple[str, ...]
    filters: tuple[Callable[[Any], bool], ...]
    value_of: str | None = None


def parse(definition: str) -> Rule:
    """A rule from its definition. Raises AwsError for one that CloudWatch would not take."""
    try:
        tree = json.loads(definition)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"the definition is no JSON: {error}") from None
    if not isinstance(tree, dict) or set(tree) != _MEMBERS:
        raise _invalid(f"a definition has {', '.join(sorted(_MEMBERS))}")
    contribution, groups = tree["Contribution"], tree["LogGroupNames"]
    if tree["Schema"] != _SCHEMA or tree["LogFormat"] != "JSON":
        raise _invalid("played are rules of the schema CloudWatchLogRule 1 over JSON")
    if not isinstance(groups, list) or not groups or not isinstance(contribution, dict):
        raise _invalid("LogGroupNames is a list, Contribution an object")
    keys, filters = contribution.get("Keys", []), contribution.get("Filters", [])
    if not 1 <= len(keys) <= MOST_KEYS or len(filters) > MOST_FILTERS:
        raise _invalid(f"1 to {MOST_KEYS} keys, and {MOST_FILTERS} filters at most")
    sums = {"Count": False, "Sum": True}.get(tree["AggregateOn"])
    if sums is None or sums != ("ValueOf" in contribution):
        raise _invalid("AggregateOn is Count, or Sum together with ValueOf")
    return Rule(
        tuple(groups),
        tuple(_field(key) for key in keys),
        tuple(_filter(one) for one in filters),
        _field(contribution["ValueOf"]) if sums else None,
    )


def contributors(rule: Rule, events: Iterable[Event], start_ms: int, end_ms: int) -> Contributors:
    """What each contributor adds up to in events from `start_ms` to before `end_ms`."""
    found: Contributors = Counter()
    for group, _, at, message in events:
        if not start_ms <= at < end_ms or not _covers(rule.groups, group):
            continue
        tree = parse_event(message)
        if tree is None or not all(passes(tree) for passes in rule.filters):
            continue
        key = tuple(_text(select(one, tree)) for one in rule.keys)
        value = 1 if rule.value_of is None else select(rule.value_of, tree)
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
        "KeyLabels": list(rule.keys),
        "AggregationStatistic": "Sum" if rule.value_of else "SampleCount",
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


def _field(text: Any) -> str:
    if not isinstance(text, str) or _FIELD.fullmatch(text) is None:
        raise _invalid(f"{text!r} is no field: $.name, $.name[0] or $.name.other")
    return text


def _filter(asked: Any) -> Callable[[Any], bool]:
    if not isinstance(asked, dict) or "Match" not in asked or len(asked) != 2:  # noqa: PLR2004
        raise _invalid("a filter has Match and one operator")
    field = _field(asked["Match"])
    [name] = set(asked) - {"Match"}
    wanted = asked[name]
    if name == "IsPresent" and isinstance(wanted, bool):
        return lambda tree: (select(field, tree) is not None) is wanted
    if name in _NUMBERS and _is_number(wanted):
        compare = _NUMBERS[name]
        return lambda tree: _is_number(found := select(field, tree)) and compare(found, wanted)
    if name in _TEXTS and isinstance(wanted, list) and 1 <= len(wanted) <= MOST_VALUES:
        test = _TEXTS[name]
        return lambda tree: test(_text(select(field, tree)), wanted)
    raise _invalid(f"{name} {wanted!r} is no operator of a filter")


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterValue", f"Invalid Contributor Insights rule: {message}")
