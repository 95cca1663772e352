"""The state of CloudWatch alarms, which moto keeps but never works out.

The period that is not over yet counts as one, so that a test need not wait for its end. Composite
alarms and anomaly bands stay as they are.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from emulators.aws.expressions import ExpressionError
from emulators.cloudwatch import contributor_insights
from emulators.cloudwatch.contributor_insights import Event
from emulators.cloudwatch.metric_math import RuleMetric, Series, compute

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass(frozen=True, slots=True)
class Metric:
    """What an alarm looks at. `stat` is a statistic or a percentile such as `p90`."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]
    stat: str
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class _Data:
    """What alarms look at: metric data, Contributor Insights rules by name and what these read."""

    metrics: list[Any]
    rules: dict[str, Any]
    events: Callable[[], list[Event]]


def evaluate(backend: Any, events: Callable[[], list[Event]], now: datetime) -> None:
    """Bring every alarm of moto's CloudWatch `backend` to the state that its data give it.

    `events`: the log events of the region, asked for only by an alarm on contributors.
    """
    data = _Data(list(backend.metric_data), backend.insight_rules, events)
    for alarm in list(backend.alarms.values()):
        if alarm.rule or alarm.comparison_operator not in _COMPARE:
            continue
        state, reason, values = _state(alarm, data, now)
        if state != alarm.state_value:
            recent = json.dumps({"recentDatapoints": values})
            backend.set_alarm_state(alarm.name, reason, recent, state)


def _state(alarm: Any, data: _Data, now: datetime) -> tuple[str, str, Series]:
    periods = int(alarm.evaluation_periods)
    needed = int(alarm.datapoints_to_alarm or periods)
    try:
        values = _values(alarm, data, now, periods)
    except ExpressionError as error:
        return "INSUFFICIENT_DATA", f"The expression cannot be read: {error}", []
    missing = alarm.treat_missing_data or "missing"
    known = [one for one in values if one is not None]
    if not known and missing == "ignore":
        return alarm.state_value, "No data, and missing data are ignored", values
    if not known and missing == "missing":
        return "INSUFFICIENT_DATA", f"No data in {periods} periods", values
    compare = _COMPARE[alarm.comparison_operator]
    threshold = float(alarm.threshold)
    breaching = sum(
        missing == "breaching" if one is None else compare(one, threshold) for one in values
    )
    reason = f"{breaching} of {periods} periods breach {alarm.comparison_operator} {threshold:g}"
    return ("ALARM" if breaching >= needed else "OK"), reason, values


def _values(alarm: Any, data: _Data, now: datetime, periods: int) -> Series:
    if not alarm.metric_data_queries:
        stat = alarm.extended_statistic or alarm.statistic
        metric = Metric(
            alarm.namespace,
            alarm.metric_name,
            _dimensions(alarm.dimensions),
            stat,
            alarm.unit,
        )
        return _series(metric, data.metrics, now, int(alarm.period), periods)
    queries = alarm.metric_data_queries
    stats = [one.metric_stat for one in queries if one.metric_stat is not None]
    lengths = [one.period for one in (*stats, *queries) if one.period]
    length = int(lengths[0]) if lengths else 60
    series: dict[str, Series] = {}
    for query in queries:
        if query.metric_stat is not None:
            asked = query.metric_stat
            metric = Metric(
                asked.metric.namespace,
                asked.metric.metric_name,
                _dimensions(asked.metric.dimensions),
                asked.stat,
                asked.unit,
            )
            series[query.id] = _series(metric, data.metrics, now, length, periods)
    rules = _by_contributor(data, _windows(now, length, periods))
    pending = [one for one in queries if one.expression]
    while pending:
        # An expression may use another one, whatever their order.
        later: list[Any] = []
        for query in pending:
            try:
                series[query.id] = compute(query.expression, series, periods, rules)
            except ExpressionError:
                later.append(query)
                if len(later) == len(pending):
                    raise
        pending = later
    shown = next((one for one in queries if _returns(one)), queries[0])
    return series[shown.id]


def _by_contributor(data: _Data, windows: list[tuple[int, int]]) -> RuleMetric:
    def values(rule: str, metric: str) -> Series:
        found = data.rules.get(rule)
        if found is None or metric not in contributor_insights.METRICS:
            raise ExpressionError(f"there is no rule {rule!r} with a metric {metric!r}")
        if found.state != "ENABLED":
            return [None] * len(windows)
        read = contributor_insights.parse(found.definition)
        return contributor_insights.metric(read, metric, data.events(), windows)

    return values


def _windows(now: datetime, length: int, periods: int) -> list[tuple[int, int]]:
    """From and to before which, in epoch ms, each of the last `periods` of `length` seconds is."""
    last = int(now.timestamp()) // length
    starts = range(last - periods + 1, last + 1)
    return [(at * length * 1000, (at + 1) * length * 1000) for at in starts]


def _returns(query: Any) -> bool:
    return query.return_data is None or str(query.return_data).lower() == "true"


def _dimensions(found: Iterable[Any]) -> frozenset[tuple[str, str]]:
    return frozenset((one.name, one.value) for one in found or ())


def _series(
    metric: Metric,
    data: Iterable[Any],
    now: datetime,
    length: int,
    periods: int,
) -> Series:
    """A value for each of the last `periods` of `length` seconds, the oldest first."""
    last = int(now.timestamp()) // length
    samples: list[list[float]] = [[] for _ in range(periods)]
    totals: list[list[Any]] = [[] for _ in range(periods)]
    for datum in data:
        if (
            datum.namespace != metric.namespace
            or datum.name != metric.name
            or _dimensions(datum.dimensions) != metric.dimensions
            or (metric.unit is not None and datum.unit != metric.unit)
        ):
            continue
        when = datum.timestamp.replace(tzinfo=datum.timestamp.tzinfo or UTC)
        at = int(when.timestamp()) // length - last + periods - 1
        if 0 <= at < periods:
            if hasattr(datum, "value"):
                samples[at].append(float(datum.value))
            else:
                totals[at].append(datum)
    return [
        _statistic(metric.stat, values, aggregated)
        for values, aggregated in zip(samples, totals, strict=True)
    ]


def _statistic(stat: str, samples: list[float], totals: list[Any]) -> float | None:
    """A statistic over single values and aggregated ones, None without data."""
    if stat.startswith("p"):
        # Percentiles need the single values.
        values = sorted(samples)
        at = int(float(stat[1:]) / 100 * len(values))
        return values[min(len(values) - 1, at)] if values else None
    count = len(samples) + sum(float(one.sample_count) for one in totals)
    if not count:
        return None
    total = sum(samples) + sum(float(one.sum) for one in totals)
    known: dict[str, float] = {
        "Sum": total,
        "SampleCount": count,
        "Average": total / count,
        "Minimum": min([*samples, *(float(one.min) for one in totals)]),
        "Maximum": max([*samples, *(float(one.max) for one in totals)]),
    }
    return known.get(stat)
