"""What leaves the collector holds no secret, and everything else that came in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from stack.collector_config import CONFIG_FILE, load
from stack.settings import ROOT
from tests.unit.collector.running import attributes, plain, spans, trace

if TYPE_CHECKING:
    from tests.unit.collector.running import Collector

pytestmark = pytest.mark.collector

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
AWS_KEY = "AKIA" + "IOSFODNN7EXAMPLE"

VALUES = [
    # attribute, what comes in, what leaves
    ("url.query", "term=coffee&token=s3cret&page=2", "term=coffee&token=[redacted]&page=2"),
    ("url.query", "code=s3cret&state=ok", "code=[redacted]&state=ok"),
    ("url.full", "https://h/p?api_key=s3cret#top", "https://h/p?api_key=[redacted]"),
    ("http.target", "/login?next=/a&password=s3cret", "/login?next=/a&password=[redacted]"),
    (
        "http.url",
        "http://h/?X-Amz-Signature=s3cret&x=1",
        "http://h/?X-Amz-Signature=[redacted]&x=1",
    ),
    ("url.full", "https://user:s3cret@host/p", "https****host/p"),
    ("db.statement", "SELECT 1 WHERE password = 's3cret'", "SELECT 1 WHERE password = [redacted]"),
    ("app.note", f"called with Bearer {JWT}", "called with ****"),
    ("app.note", f"the key {AWS_KEY} leaked", "the key **** leaked"),
]

KEPT = {
    "url.query": "term=password+reset&keyword=tea&author=bob&page=2",
    "url.full": "http://127.0.0.1:4568/api/session/x=1?term=tokens",
    "db.statement": "SELECT handle, message FROM activities WHERE uuid = ?",
    "http.route": "/api/activities/@<handle>",
    "app.now": "2026-11-21T11:11:11+00:00",
    "enduser.id": "andrewbrown",
    "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64) Basic Bearer",
}

DROPPED: dict[str, Any] = {
    "http.request.header.authorization": ["Bearer s3cret"],
    "http.request.header.cookie": ["session=s3cret"],
    "http.response.header.set-cookie": ["session=s3cret"],
    "http.request.header.x-api-key": ["s3cret"],
    "http.request.header.x-honeycomb-team": ["s3cret"],
    "password": "s3cret",
    "api_key": "s3cret",
}


@pytest.mark.parametrize(("key", "value", "clean"), VALUES)
def test_a_secret_inside_a_value_is_masked(
    collector: Collector, key: str, value: str, clean: str
) -> None:
    collector.post("traces", trace("GET /", {key: value}))

    written = collector.wait_for_file("traces", "GET /")

    assert plain(spans(written)["GET /"]["attributes"]) == {key: clean}
    assert "s3cret" not in written


def test_attributes_that_are_secrets_by_name_are_dropped_whatever_they_hold(
    collector: Collector,
) -> None:
    collector.post("traces", trace("GET /", {**DROPPED, "http.request.header.accept": ["json"]}))

    written = collector.wait_for_file("traces", "GET /")

    kept = [item["key"] for item in spans(written)["GET /"]["attributes"]]
    assert kept == ["http.request.header.accept"]


def test_what_is_no_secret_is_kept_to_the_letter(collector: Collector) -> None:
    collector.post("traces", trace("GET /", KEPT))

    written = collector.wait_for_file("traces", "GET /")

    assert plain(spans(written)["GET /"]["attributes"]) == KEPT


def test_an_exception_is_cleaned_in_its_event_and_in_the_spans_status(
    collector: Collector,
) -> None:
    said = 'KeyError: {"password": "s3cret pass", "user": "bob"}'
    event = {
        "name": "exception",
        "timeUnixNano": "1700000000000000000",
        "attributes": attributes(
            {"exception.message": said, "exception.stacktrace": f"Traceback\n  raise\n{said}"}
        ),
    }
    collector.post("traces", trace("boom", events=[event], status={"code": 2, "message": said}))

    written = collector.wait_for_file("traces", "boom")

    clean = 'KeyError: {"password": [redacted], "user": "bob"}'
    span = spans(written)["boom"]
    assert plain(span["events"][0]["attributes"]) == {
        "exception.message": clean,
        "exception.stacktrace": f"Traceback\n  raise\n{clean}",
    }
    assert span["status"]["message"] == clean


@pytest.mark.parametrize(
    ("line", "clean"),
    [
        ("login failed password=s3cret user=bob", "login failed password=[redacted] user=bob"),
        ("GET /?token=s3cret&page=2 200", "GET /?token=[redacted]&page=2 200"),
        ("Cookie: session=s3cret; id=s3cret", "Cookie: [redacted]"),
        ("Authorization: Bearer s3cret", "Authorization: [redacted]"),
        ('{"api_key": "s3cret", "n": 1}', '{"api_key": [redacted], "n": 1}'),
        ("postgresql://bob:s3cret@db/x", "postgresql****db/x"),
        (
            "12 tokens used, status code: 404, key found",
            "12 tokens used, status code: 404, key found",
        ),
    ],
)
def test_a_log_line_is_cleaned(collector: Collector, line: str, clean: str) -> None:
    record = {
        "timeUnixNano": "1700000000000000000",
        "body": {"stringValue": line},
        "attributes": attributes({"http.target": "/?token=s3cret", "code.lineno": 7}),
    }
    collector.post(
        "logs", {"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": [record]}]}]}
    )

    written = collector.wait_for_file("logs", "code.lineno")

    kept = json.loads(written)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    assert kept["body"]["stringValue"] == clean
    assert plain(kept["attributes"]) == {"http.target": "/?token=[redacted]", "code.lineno": "7"}


def test_a_metrics_attributes_are_cleaned(collector: Collector) -> None:
    point = {"asInt": "1", "attributes": attributes({"url.full": "http://h/?token=s3cret"})}
    metric = {"name": "calls", "gauge": {"dataPoints": [point]}}
    collector.post(
        "metrics", {"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"metrics": [metric]}]}]}
    )

    written = collector.wait_for_file("metrics", "calls")

    assert "http://h/?token=[redacted]" in written


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("127.0.0.1:4567", "127.0.0.1"),
        ("[::1]:4567", "[::1]"),
        ("cruddur.example", "cruddur.example"),
    ],
)
def test_the_port_is_taken_out_of_server_address(
    collector: Collector, address: str, host: str
) -> None:
    """Else X-Ray's exporter makes http://127.0.0.1:4567:4567/ of it."""
    collector.post("traces", trace("GET /", {"server.address": address, "server.port": 4567}))

    written = collector.wait_for_file("traces", "GET /")

    assert plain(spans(written)["GET /"]["attributes"])["server.address"] == host


def test_the_long_pattern_is_the_same_in_its_three_places() -> None:
    groups = load(ROOT / CONFIG_FILE)["processors"]["transform/clean"]
    statements = [
        statement
        for signal in ("trace_statements", "log_statements", "metric_statements")
        for group in groups[signal]
        for statement in group["statements"]
        if "passphrase" in statement
    ]

    patterns = {statement.partition('"(?i)')[2].partition(', "$$1')[0] for statement in statements}

    assert len(statements) >= 3
    assert len(patterns) == 1
