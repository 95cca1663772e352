"""CloudWatch alarms: the state that their data give them."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from emulators.aws.expressions import ExpressionError
from emulators.cloudwatch.metric_math import compute
from tests.unit import alarm_clock

PERIOD = 300


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    return alarm_clock.stop(monkeypatch)


@pytest.fixture
def alarm(aws: Callable[..., Any], now: datetime) -> Callable[..., tuple[str, str]]:
    """Puts values of `m` into periods (the oldest first), and tells an alarm's state and reason."""
    cloudwatch = aws("cloudwatch")
    namespace = f"alarms-{secrets.token_hex(4)}"

    def state(*values: list[float] | None, **changes: Any) -> tuple[str, str]:
        name = f"{namespace}-{secrets.token_hex(2)}"
        for at, found in enumerate(values):
            if found:
                back = timedelta(seconds=PERIOD * (len(values) - 1 - at))
                datum = {"MetricName": name, "Timestamp": now - back, "Unit": "Count"}
                data = [{**datum, "Value": value} for value in found]
                cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
        fields: dict[str, Any] = {
            "AlarmName": name,
            "Namespace": namespace,
            "MetricName": name,
            "Statistic": "Sum",
            "Period": PERIOD,
            "EvaluationPeriods": 3,
            "DatapointsToAlarm": 2,
            "Threshold": 5,
            "ComparisonOperator": "GreaterThanThreshold",
            **changes,
        }
        stat = fields.pop("ExtendedStatistic", None)
        if stat:
            fields |= {"ExtendedStatistic": stat}
            del fields["Statistic"]
        cloudwatch.put_metric_alarm(**fields)
        [found_alarm] = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return found_alarm["StateValue"], found_alarm["StateReason"]

    return state


@pytest.mark.parametrize(
    ("values", "changes", "state"),
    [
        (([3, 3], [9], [1]), {}, "ALARM"),
        (([3], [9], [1]), {}, "OK"),
        (([9], None, None), {}, "OK"),
        (([9], None, None), {"TreatMissingData": "breaching"}, "ALARM"),
        ((None, None, None), {}, "INSUFFICIENT_DATA"),
        ((None, None, None), {"TreatMissingData": "notBreaching"}, "OK"),
        ((None, None, None), {"TreatMissingData": "breaching"}, "ALARM"),
        ((None, None, None), {"TreatMissingData": "ignore"}, "OK"),
        (([9], [9], [1], [1], [1]), {}, "OK"),
        (([4, 4], [4, 4], [4, 4]), {"Statistic": "Average"}, "OK"),
        (([1, 9], [1, 9], [1]), {"Statistic": "Maximum"}, "ALARM"),
        (([1, 9], [1, 9], [1]), {"Statistic": "Minimum"}, "OK"),
        (([0] * 6, [0] * 6, [0]), {"Statistic": "SampleCount"}, "ALARM"),
        (([1] * 8 + [9] * 2, [9], [1]), {"ExtendedStatistic": "p90"}, "ALARM"),
        (([1] * 19 + [9], [9], [1]), {"ExtendedStatistic": "p90"}, "OK"),
        (([4], [4], [9]), {"ComparisonOperator": "LessThanThreshold"}, "ALARM"),
        (([5], [5], [9]), {"ComparisonOperator": "LessThanThreshold"}, "OK"),
        (([5], [5], [9]), {"ComparisonOperator": "LessThanOrEqualToThreshold"}, "ALARM"),
        (([9], [9], [9]), {"Unit": "Seconds"}, "INSUFFICIENT_DATA"),
    ],
)
def test_an_alarms_state(
    alarm: Callable[..., tuple[str, str]],
    values: tuple[list[float] | None, ...],
    changes: dict[str, Any],
    state: str,
) -> None:
    found, reason = alarm(*values, **changes)
    assert found == state, reason


def query(name: str, group: str, metric: str) -> dict[str, Any]:
    dimensions = [{"Name": "LogGroupName", "Value": group}]
    stat = {"Namespace": "AWS/Logs", "MetricName": metric, "Dimensions": dimensions}
    return {
        "Id": name,
        "ReturnData": False,
        "MetricStat": {"Metric": stat, "Period": PERIOD, "Stat": "Sum"},
    }


def test_silence_is_an_alarm_until_logs_arrive(aws: Callable[..., Any]) -> None:
    cloudwatch, logs = aws("cloudwatch"), aws("logs")
    name = f"silence-{secrets.token_hex(4)}"
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        ComparisonOperator="LessThanThreshold",
        Threshold=1,
        EvaluationPeriods=3,
        TreatMissingData="breaching",
        Metrics=[
            {"Id": "arrived", "Expression": "FILL(logs, 0) + FILL(metrics, 0)", "ReturnData": True},
            query("logs", name, "IncomingLogEvents"),
            query("metrics", f"{name}-metrics", "IncomingLogEvents"),
        ],
    )

    def state() -> str:
        [found] = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return str(found["StateValue"])

    assert state() == "ALARM"
    event = {"timestamp": int(time.time() * 1000), "message": json.dumps({"a": 1})}
    logs.put_log_events(logGroupName=name, logStreamName="s", logEvents=[event])
    assert state() == "OK"


def test_an_expression_that_is_not_read_says_so(aws: Callable[..., Any]) -> None:
    cloudwatch = aws("cloudwatch")
    name = f"band-{secrets.token_hex(4)}"
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        ComparisonOperator="GreaterThanThreshold",
        Threshold=1,
        EvaluationPeriods=1,
        Metrics=[
            {"Id": "x", "Expression": "ANOMALY_DETECTION_BAND(m)", "ReturnData": True},
            query("m", name, "IncomingLogEvents"),
        ],
    )
    [found] = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert found["StateValue"] == "INSUFFICIENT_DATA"
    assert "ANOMALY_DETECTION_BAND" in found["StateReason"]


SERIES: dict[str, list[float | None]] = {"a": [1.0, None, 3.0], "b": [2.0, 2.0, 0.0]}


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("a", [1, None, 3]),
        ("a + b * 2", [5, None, 3]),
        ("(a + b) * 2", [6, None, 6]),
        ("-a - 1", [-2, None, -4]),
        ("a / b", [0.5, None, None]),
        ("100 * FILL(a, 0) / 4", [25, 0, 75]),
        ("FILL(a, REPEAT)", [1, 1, 3]),
        ("IF(b > 0, 100 * a / b, 0)", [50, None, 0]),
        ("a >= 1 AND b == 2", [1, None, 0]),
        ("a > 5 || b < 1", [0, None, 1]),
        ("SUM([a, b])", [3, 2, 3]),
        ("MAX(a, b)", [2, 2, 3]),
        ("ABS(-b)", [2, 2, 0]),
    ],
)
def test_metric_math(expression: str, values: list[float | None]) -> None:
    assert compute(expression, SERIES, 3) == values


@pytest.mark.parametrize(
    "expression",
    ["", "a +", "c", "a b", "(a", "IF(a, b)", "SEARCH(a)", "a ~ b", "(" * 50 + "a" + ")" * 50],
)
def test_math_that_is_not_read_is_an_error(expression: str) -> None:
    with pytest.raises(ExpressionError):
        compute(expression, SERIES, 3)
