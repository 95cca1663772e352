"""Whatever is sent, the emulators answer or refuse; they never break."""

# ruff: noqa: PT017 - an error is one of two right outcomes here

from __future__ import annotations

import json
import math
import socket
import time
import tracemalloc
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emulators.aws import sigv4
from emulators.aws.expressions import SEARCH_SECONDS, ExpressionError, searcher
from emulators.aws.vendor import AwsError, validated
from emulators.client import Client
from emulators.cloudwatch import contributor_insights, emf, insights, metric_math
from emulators.cloudwatch.events import flatten
from emulators.cloudwatch.patterns import compile_pattern
from emulators.core import otlp, strict_json
from emulators.core.bodies import BodyError, decompress
from emulators.core.guard import refusal
from emulators.xray import segments
from emulators.xray.filters import Subject, compile_filter
from tests.unit.fuzzing import quick

# Halves of characters too: JSON can escape them.
texts = st.text(st.characters(), max_size=20) | st.just("\ud800")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=20,
)


def words(*known: str) -> st.SearchStrategy[str]:
    """Texts of a language's own words in any order, and of anything else."""
    some = st.lists(st.sampled_from(known) | st.text(max_size=4), max_size=12)
    return some.map(" ".join) | st.text(max_size=60)


@pytest.mark.parametrize("signal", otlp.SIGNALS)
@quick
@given(body=st.binary(max_size=300))
def test_otlp_protobuf(signal: otlp.Signal, body: bytes) -> None:
    try:
        items, _ = otlp.take(otlp.decode(signal, "protobuf", body))
    except BodyError as error:
        assert error.status == 400
    else:
        assert all(json.dumps(item.render()) for item in items)


OTLP_KEYS = st.sampled_from(
    (
        *("resourceSpans", "scopeSpans", "spans", "traceId", "spanId", "name", "attributes"),
        *("key", "value", "stringValue", "kvlistValue", "values", "resourceLogs", "logRecords"),
    ),
)
otlp_trees = st.recursive(
    st.none() | st.integers() | st.text(max_size=10) | st.just("0" * 32) | st.just("ab" * 8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(OTLP_KEYS, inner, max_size=4),
    max_leaves=30,
)


@pytest.mark.parametrize("signal", otlp.SIGNALS)
@quick
@given(tree=otlp_trees)
def test_otlp_json(signal: otlp.Signal, tree: Any) -> None:
    try:
        items, _ = otlp.take(otlp.decode(signal, "json", json.dumps(tree).encode()))
    except BodyError as error:
        assert error.status == 400
    else:
        assert all(json.dumps(item.render()) for item in items)


@quick
@given(body=st.binary(max_size=200), encoding=st.sampled_from(["", "gzip", "zstd", "br", "x"]))
def test_compression(body: bytes, encoding: str) -> None:
    try:
        assert len(decompress(body, encoding, 1000)) <= 1000
    except BodyError as error:
        assert error.status in (400, 413, 415)


SEGMENT = {
    "name": "backend-flask",
    "id": "0" * 16,
    "trace_id": "1-00000000-" + "0" * 24,
    "start_time": 1.0,
    "end_time": 2.0,
}


@quick
@given(
    changes=st.dictionaries(
        st.sampled_from([*segments.Segment.model_fields, "namespace", "sql"]), json_values
    )
)
def test_segments(changes: dict[str, Any]) -> None:
    parsed = segments.parse(json.dumps({**SEGMENT, **changes}))
    if isinstance(parsed, segments.Unprocessed):
        assert parsed.message
        assert json.dumps(parsed.as_dict())
    else:
        assert segments.all_parts(parsed)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("NaN", "NaN"),
        ("-Infinity", "Infinity"),
        ("1e999", "too large"),
        ("1" + "0" * 400, "too large"),
        ("[" * 101 + "]" * 101, "deeper"),
        ("[" * 100_000, "deeper"),
        ('["]", ' + "[" * 101 + "]" * 102, "deeper"),
        (b"\xff", "decode"),
        ("", "Expecting value"),
    ],
)
def test_json_that_python_takes_and_vendors_refuse(text: str | bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        strict_json.loads(text)


@pytest.mark.parametrize(
    "text", ["[" * 100 + "]" * 100, '"' + "[{" * 200 + '"', "[" + "[]," * 200 + "[]]"]
)
def test_brackets_in_texts_and_beside_each_other_are_not_depth(text: str) -> None:
    assert strict_json.loads(text) == json.loads(text)


@quick
@given(tree=json_values)
def test_json_is_read_as_python_reads_it(tree: Any) -> None:
    for text in (json.dumps(tree), json.dumps(tree, ensure_ascii=False, indent=1)):
        try:
            assert strict_json.loads(text) == tree
        except ValueError:
            assert "Infinity" in text


@quick
@given(text=texts | json_values.map(json.dumps))
def test_messages(text: str) -> None:
    assert isinstance(segments.parse(text), segments.Unprocessed)
    assert isinstance(flatten(text), dict)
    try:
        assert emf.extract(text) == []
    except emf.EmfError:
        assert "_aws" in text


@quick
@given(metadata=json_values, value=json_values)
def test_embedded_metrics(metadata: Any, value: Any) -> None:
    whole = {"Namespace": "n", "Dimensions": [["d"]], "Metrics": [{"Name": "m"}]}
    for aws in (metadata, {"Timestamp": 1, "CloudWatchMetrics": [whole]}):
        try:
            found = emf.extract(json.dumps({"_aws": aws, "m": value, "d": "x"}))
        except emf.EmfError as error:
            assert str(error)
        else:
            assert all(json.dumps(one.as_json()) for one in found)


def subject() -> Subject:
    parsed = segments.parse(json.dumps({**SEGMENT, "annotations": {"a": 1}}))
    assert not isinstance(parsed, segments.Unprocessed)
    return Subject([parsed], 1.0, 1.0)


@quick
@given(
    text=words(
        *("service", "(", ")", '"x"', "annotation.a", "annotation", "[", "]", "=", "!=", ">", "1"),
        *("AND", "OR", "!", "fault", "{", "}", "http.status", "http.url", "CONTAINS", "user"),
    )
)
def test_filters(text: str) -> None:
    try:
        assert compile_filter(text)(subject()) in (True, False)
    except ExpressionError as error:
        assert str(error)


@quick
@given(
    text=words(
        *("{", "}", "$.a", "$.a['b']", "$.a[0]", "=", "!=", ">=", "1", "*", '"x*"', "%x%", "&&"),
        *("||", "(", ")", "IS", "NULL", "NOT", "EXISTS", "-word", "?word"),
    )
)
def test_patterns(text: str) -> None:
    try:
        assert compile_pattern(text)('{"a": {"b": [1]}}') in (True, False)
    except ExpressionError as error:
        assert str(error)


@quick
@given(
    text=words(
        *("fields", "filter", "sort", "limit", "stats", "|", "a", "@timestamp", "count(*)", "by"),
        *(
            "as",
            "=",
            "like",
            "/x/",
            "'x'",
            "1",
            "and",
            "not",
            "(",
            ")",
            "in",
            "[",
            "]",
            ",",
            "bin(",
        ),
        *(
            "sum(a)",
            "pct(a,",
            "50",
            "substr(",
            "concat(a, 'x')",
            "5m",
            "desc",
            "dedup",
            "*",
            "abs(",
        ),
        *("+", "/", "%", "b", "c"),
    )
)
@example(text="sort b")
@example(text="fields substr(a)")
@example(text="fields substr(a, c)")
@example(text="fields abs()")
@example(text="fields strlen(a, b)")
@example(text="stats pct(a, x)")
@example(text="stats pct(a, 101)")
@example(text="fields bin(a)")
@example(text="stats count(*) | fields bin(5m)")
@example(text="fields 'x' as @timestamp")
@example(text="fields b as @timestamp")
@example(text="stats max(@timestamp) as @timestamp")
@example(text="limit " + "9" * 5000)
@example(text="filter " + "not " * 2000 + "a")
@example(text="fields a" + "+a" * 3000)
def test_queries(text: str) -> None:
    rows = [
        {"@timestamp": 1, "@message": "m", "a": "x", "b": 10**300, "c": "nan"},
        {"@timestamp": 2, "a": "7", "b": 10**400, "c": []},
    ]
    try:
        assert isinstance(insights.run(text, rows), list)
    except ExpressionError as error:
        assert str(error)


@pytest.mark.parametrize(
    "query",
    [
        "fields @message as a" + " | fields concat(a, a) as a" * 40,
        "fields concat(" + ", ".join(["@message"] * 1000) + ")",
        "fields " + ", ".join(f"a as a{number}" for number in range(3000)),
    ],
)
def test_a_query_that_would_fill_the_memory_is_refused(query: str) -> None:
    rows = [{"@timestamp": at, "@message": "m" * 100_000} for at in range(1000)]
    tracemalloc.start()
    with pytest.raises(ExpressionError):
        insights.run(query, rows)
    assert tracemalloc.get_traced_memory()[1] < 100 * 1024 * 1024
    tracemalloc.stop()


def test_a_search_ends() -> None:
    """Each further letter makes this one twice as long."""
    search = searcher(r"^(a|aa|aaa)*(\1|b)*$")
    # CPU of this thread: the emulators' own may be loading moto.
    started = time.thread_time()
    with pytest.raises(ExpressionError, match="too long"):
        search("a" * 60 + "!")
    assert time.thread_time() - started < 2 * SEARCH_SECONDS


@quick
@given(
    text=words(
        *("m1", "m2", "and", "AND", "||", "+", "-", "*", "/", "<", "(", ")", "[", "]", ",", "SUM("),
        *(
            "FILL(",
            "REPEAT",
            "IF(",
            "CEIL(",
            "FLOOR(",
            "1",
            "0.5",
            "9" * 400,
            "INSIGHT_RULE_METRIC(",
        ),
    )
)
@example(text="-" * 2000 + "m1")
@example(text="CEIL(m1 * m1)")
@example(text="SUM([m1, m1])")
@example(text="9" * 400)
def test_formulas(text: str) -> None:
    series: dict[str, metric_math.Series] = {"m1": [1e308, 0.0, None], "m2": [-1.0, 1e-308, 2.0]}
    try:
        found = metric_math.compute(text, series, 3)
    except ExpressionError as error:
        assert str(error)
    else:
        assert len(found) == 3
        assert all(one is None or math.isfinite(one) for one in found)


@quick
@given(events=json_values | st.lists(st.fixed_dictionaries({"timestamp": json_values})))
def test_log_events(events: Any) -> None:
    ask = {"logGroupName": "g", "logStreamName": "s", "logEvents": events}
    with pytest.raises(AwsError):
        validated("logs", "PutLogEvents", ask)


@quick
@given(
    authorization=words(
        "AWS4-HMAC-SHA256",
        "Credential=key/20260101/us-east-1/xray/aws4_request,",
        "SignedHeaders=host;x-amz-date,",
        "Signature=" + "0" * 64,
    ),
    date=st.sampled_from(["", "20260101T000000Z", "99999999T999999Z"]) | st.text(max_size=20),
    path=st.text(max_size=20),
)
def test_signatures(authorization: str, date: str, path: str) -> None:
    headers = {"Authorization": authorization, "X-Amz-Date": date, "Host": "localhost"}
    with pytest.raises(sigv4.SignatureError):
        sigv4.verify("POST", f"/{path}", headers, b"", {"key": "secret"}, {"xray"})


@quick
@given(host=st.text(max_size=30))
def test_hosts(host: str) -> None:
    assert refusal({"Host": f"{host}.example"}, frozenset({"localhost"})) is not None


HEADERS = [
    b"Content-Type: \xff\xfe",
    b"Content-Encoding: \xff",
    b"Content-Type: application/json\r\nContent-Encoding: \xff",
    b"x-honeycomb-team: \xff",
    b"X-Rollbar-Access-Token: \xff",
    b"X-Amz-Target: Logs_20140328.PutLogEvents",
    b"X-Amz-Target: \xff.\xff",
    b"Authorization: AWS4-HMAC-SHA256 \xff",
    b"Authorization: AWS4-HMAC-SHA256 Credential=LOCALEMULATEDAWSKEYID/20260101/r/xray/"
    b"aws4_request, SignedHeaders=host;x, Signature=" + b"0" * 64 + b"\r\nx: \xff",
    b"Content-Length: -1",
    b"Content-Length: x",
    b"Transfer-Encoding: chunked\r\n\r\nzz",
    b"Expect: nonsense",
    b"x: " + b"y" * 20_000,
]
PATHS = [
    "/",
    "/v1/traces",
    "/TraceSegments",
    "/api/1/item/",
    "/faults/xray",
    "/1/queries/\xff",
    "/%z",
]


@pytest.mark.parametrize("vendor", ["honeycomb", "xray", "aws", "rollbar", "otlp", "control"])
def test_requests(shared: Client, vendor: str) -> None:
    address = ("127.0.0.1", shared.ports()[vendor])
    for header, path in product(HEADERS, PATHS):
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        length = b"" if b"Length" in header or b"Transfer" in header else b"Content-Length: 2\r\n"
        with socket.create_connection(address, timeout=60) as connection:
            connection.sendall(head.encode("latin-1") + length + header + b"\r\n\r\n{}")
            status = connection.makefile("rb").readline()
        assert status.split()[1][:1] in (b"2", b"4"), (header, path, status)


rules = st.fixed_dictionaries(
    {
        "Schema": st.just({"Name": "CloudWatchLogRule", "Version": 1}) | json_values,
        "LogGroupNames": st.just(["g*"]) | json_values,
        "LogFormat": st.just("JSON") | json_values,
        "AggregateOn": st.sampled_from(["Count", "Sum"]) | json_values,
        "Contribution": st.fixed_dictionaries(
            {"Keys": st.just(["$.a", "$.b[0]"]) | json_values},
            optional={
                "ValueOf": st.just("$.v") | json_values,
                "Filters": json_values
                | st.lists(
                    st.fixed_dictionaries(
                        {"Match": st.just("$.a")},
                        optional={
                            "In": json_values,
                            "GreaterThan": json_values,
                            "IsPresent": st.booleans() | json_values,
                        },
                    ),
                    max_size=3,
                ),
            },
        )
        | json_values,
    },
)


@quick
@given(definition=rules | json_values, events=st.lists(json_values, max_size=3))
def test_contributor_rules(definition: Any, events: list[Any]) -> None:
    try:
        rule = contributor_insights.parse(json.dumps(definition))
    except AwsError as error:
        assert error.code == "InvalidParameterValue"
        return
    read = [("g", "s", 0, json.dumps(event)) for event in events]
    counted = contributor_insights.contributors(rule, read, 0, 1)
    assert len(counted) <= len(events)
