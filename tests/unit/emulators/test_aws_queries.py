"""Logs Insights and metric filters: what is read, what is refused, and what comes of it."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from emulators.aws.expressions import ExpressionError
from emulators.client import Client
from emulators.cloudwatch import insights
from emulators.cloudwatch.events import flatten
from emulators.cloudwatch.patterns import compile_pattern

TRACE_ID = "12345678901234567890123456789012"
# Differs past a float's precision.
OTHER_ID = "12345678901234567890123456789013"


def put(logs: Any, group: str, *messages: Any) -> None:
    now = int(time.time() * 1000)
    logs.put_log_events(
        logGroupName=group,
        logStreamName="backend-flask",
        logEvents=[
            {"timestamp": now + at, "message": one if isinstance(one, str) else json.dumps(one)}
            for at, one in enumerate(messages)
        ],
    )


def query(logs: Any, group: str, text: str) -> list[dict[str, str]]:
    started = logs.start_query(
        logGroupName=group,
        startTime=int(time.time()) - 60,
        endTime=int(time.time()) + 60,
        queryString=text,
    )
    answer = logs.get_query_results(queryId=started["queryId"])
    assert answer["status"] == "Complete"
    return [
        {cell["field"]: cell["value"] for cell in row if cell["field"] != "@ptr"}
        for row in answer["results"]
    ]


def test_a_traces_logs_are_found_in_order(aws: Callable[..., Any], group: str) -> None:
    logs = aws("logs")
    before = datetime.now(UTC)
    put(
        logs,
        group,
        {"trace_id": TRACE_ID, "body": "first", "resource": {"service.name": "backend-flask"}},
        {"trace_id": OTHER_ID, "body": "another's"},
        {"trace_id": TRACE_ID, "body": "second", "severity_text": "ERROR"},
        "no JSON",
    )

    found = query(
        logs,
        group,
        "fields @timestamp, body, resource.service.name\n"
        f'| filter trace_id = "{TRACE_ID}"\n| sort @timestamp asc',
    )

    assert [one["body"] for one in found] == ["first", "second"]
    assert found[0]["resource.service.name"] == "backend-flask"
    told = datetime.fromisoformat(f"{found[0]['@timestamp']}+00:00")
    # To the millisecond, as CloudWatch keeps it.
    assert before - timedelta(milliseconds=1) <= told <= datetime.now(UTC)


def test_errors_are_counted_by_trace(aws: Callable[..., Any], group: str) -> None:
    logs = aws("logs")
    error = {"severity_text": "ERROR", "trace_id": TRACE_ID}
    put(logs, group, {**error, "body": "a"}, {**error, "body": "b"}, {"severity_text": "ERROR"})

    found = query(
        logs,
        group,
        'fields concat("1-", substr(trace_id, 0, 8), "-", substr(trace_id, 8)) as xray_trace_id'
        ' | filter severity_text = "ERROR" and ispresent(trace_id)'
        " | stats count(*) as errors, latest(body) as last by xray_trace_id"
        " | sort errors desc | limit 50",
    )

    assert found == [
        {"xray_trace_id": "1-12345678-901234567890123456789012", "errors": "2", "last": "b"},
    ]


ROWS = [
    {"@timestamp": 3000, "@message": "c", "n": 3, "s": "three", "t": "x"},
    {"@timestamp": 2000, "@message": "b", "n": 2, "s": "two"},
    {"@timestamp": 1000, "@message": "a", "n": 10, "s": "ten", "t": "x"},
]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("fields @message", "cba"),
        ("fields @message | limit 2", "cb"),
        ("fields @message | sort n", "bca"),
        ("fields @message | sort n desc, s", "acb"),
        ("fields @message | filter n > 2", "ca"),
        ("fields @message | filter n >= 2 and not (s = 'two')", "ca"),
        ("fields @message | filter s like /^t[hw]/", "cb"),
        ("fields @message | filter s not like 'wo'", "ca"),
        ("fields @message | filter s =~ 'e'", "ca"),
        ("fields @message | filter s in ['two', 'ten']", "ba"),
        ("fields @message | filter t = 'x' or n = 2", "cba"),
        ("fields @message | filter t != 'x'", "b"),
        ("fields @message | filter ispresent(t)", "ca"),
        ("fields @message | filter n * 2 = 6", "c"),
        ("fields @message | filter strlen(s) = 5", "c"),
        ("fields @message | dedup t", "cb"),
        ("# a comment\nfields @message", "cba"),
    ],
)
def test_what_a_query_reads(text: str, messages: str) -> None:
    found = insights.run(text, [dict(row) for row in ROWS])
    assert "".join(row[0]["value"] for row in found) == messages


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("stats count(*)", "3"),
        ("stats sum(n)", "15"),
        ("stats avg(n)", "5"),
        ("stats max(n)", "10"),
        ("stats min(n)", "2"),
        ("stats pct(n, 50)", "3"),
        ("stats count_distinct(t)", "1"),
        ("stats count(t)", "2"),
        ("stats earliest(s)", "ten"),
        ("filter n > 100 | stats count(*) by t", None),
    ],
)
def test_what_stats_count(text: str, value: str | None) -> None:
    found = insights.run(text, [dict(row) for row in ROWS])
    assert [row[0]["value"] for row in found] == ([] if value is None else [value])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fields",
        "parse @message 'x *' as y",
        "filter",
        "filter (n = 1",
        "filter n like 3",
        "filter nonsense(n) = 1",
        "stats median(n)",
        "limit many",
        "fields a b",
        "filter s like /(/",
        "filter " + "(" * 50 + "n" + ")" * 50,
    ],
)
def test_a_query_that_is_not_read_is_malformed(
    aws: Callable[..., Any], group: str, text: str
) -> None:
    logs = aws("logs")
    with pytest.raises(logs.exceptions.MalformedQueryException):
        query(logs, group, text)


def test_a_query_needs_a_group_that_exists(aws: Callable[..., Any]) -> None:
    logs = aws("logs")
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        query(logs, "nowhere", "fields @message")


def test_an_events_fields_are_bounded() -> None:
    assert len(flatten(json.dumps({str(at): at for at in range(5000)}))) == 1000
    assert flatten("{" * 10_000) == {}
    assert flatten('{"a": {"b.c": [1, {"d": null}]}, "e": {}}') == {
        "a.b.c.0": 1,
        "a.b.c.1.d": None,
        "e": {},
    }


EVENT = json.dumps(
    {
        "resource": {"service.name": "backend-flask"},
        "attributes": {"http.response.status_code": 503, "ok": False, "list": [1, 2]},
        "mode": "nan",
        "nothing": None,
    },
)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("{ $.resource.['service.name'] = \"backend-flask\" }", True),
        ("{ $.resource['service.name'] = \"backend-*\" }", True),
        ('{ $.resource["service.name"] = %^back% }', True),
        ("{ $.resource['service.name'] != \"backend-flask\" }", False),
        ("{ ($.attributes.['http.response.status_code'] >= 500) && ($.nothing IS NULL) }", True),
        (
            "{ ($.attributes.['http.response.status_code'] = 401) || ($.attributes.ok IS TRUE) }",
            False,
        ),
        ("{ $.attributes.['http.response.status_code'] = * }", True),
        ("{ $.attributes.ok IS FALSE }", True),
        ("{ $.attributes.missing NOT EXISTS }", True),
        ("{ $.attributes.missing = * }", False),
        ("{ $.attributes.missing != 1 }", False),
        ("{ $.attributes.list[1] = 2 }", True),
        ("{ $.attributes.ok = 0 }", False),
        ("backend-flask", True),
        ("backend-flask -503", False),
        ("?nowhere ?503", True),
        ('"service.name" nowhere', False),
        ("", True),
        # Python reads them as numbers.
        ("{ $.mode = nan }", True),
        ("{ $.mode = inf }", False),
    ],
)
def test_what_a_pattern_reads(pattern: str, matches: bool) -> None:
    assert compile_pattern(pattern)(EVENT) is matches


@pytest.mark.parametrize(
    "pattern",
    [
        "[ip, user]",
        "{ $.a = }",
        "{ a = 1 }",
        "{ $.a ~ 1 }",
        "{ $.a > x }",
        "{ ($.a = 1 }",
        "{ $.a = 1",
        "{ $.a IS MAYBE }",
        "{ $.a = %(% }",
        "{" + "(" * 50 + "}",
    ],
)
def test_a_pattern_that_is_not_read_is_refused(
    aws: Callable[..., Any], group: str, pattern: str
) -> None:
    with pytest.raises(ExpressionError):
        compile_pattern(pattern)
    logs = aws("logs")
    with pytest.raises(logs.exceptions.InvalidParameterException, match="Invalid metric filter"):
        logs.put_metric_filter(
            logGroupName=group,
            filterName="bad",
            filterPattern=pattern,
            metricTransformations=[{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}],
        )


def test_a_metric_filter_makes_metrics_of_events(
    aws: Callable[..., Any], emulators: Client, group: str
) -> None:
    logs, namespace = aws("logs"), f"filters-{secrets.token_hex(4)}"
    for name, value, extra in (
        ("Errors", "1", {"defaultValue": 0.0}),
        ("Latency", "$.seconds", {"dimensions": {"Route": "$.route"}, "unit": "Seconds"}),
    ):
        logs.put_metric_filter(
            logGroupName=group,
            filterName=name,
            filterPattern="{ $.status >= 500 }" if name == "Errors" else "{ $.seconds >= 0 }",
            metricTransformations=[
                {
                    "metricName": name,
                    "metricNamespace": namespace,
                    "metricValue": value,
                    **extra,
                },
            ],
        )

    put(
        logs,
        group,
        {"status": 500, "seconds": 0.5, "route": "/home"},
        {"status": 200, "seconds": 0.1},
        "no JSON",
    )

    assert [one["values"] for one in emulators.metrics(namespace, "Errors")] == [
        [[1.0, 1.0]],
        [[0.0, 1.0]],
        [[0.0, 1.0]],
    ]
    [latency] = emulators.metrics(namespace, "Latency")
    assert latency["dimensions"] == {"Route": "/home"}
    assert latency["unit"] == "Seconds"
    window = {
        "StartTime": datetime.now(UTC) - timedelta(minutes=5),
        "EndTime": datetime.now(UTC) + timedelta(minutes=5),
        "Period": 600,
        "Statistics": ["Sum"],
    }
    [errors] = aws("cloudwatch").get_metric_statistics(
        Namespace=namespace, MetricName="Errors", **window
    )["Datapoints"]
    assert errors["Sum"] == 1
    [arrived] = aws("cloudwatch").get_metric_statistics(
        Namespace="AWS/Logs",
        MetricName="IncomingLogEvents",
        Dimensions=[{"Name": "LogGroupName", "Value": group}],
        **window,
    )["Datapoints"]
    assert arrived["Sum"] == 3
