"""The console's lines and the access log."""

from __future__ import annotations

import json
import logging
import uuid
from typing import Any, NoReturn

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from otel_stack_distro.flask.access_log import path_without_secrets
from otel_stack_distro.json_logging import DropRequestLines, JsonFormatter

from tests.unit.fuzzing import quick
from tests.unit.services.conftest import MakeClient

FORMATTER = JsonFormatter("backend-flask")


def record(message: str = "hello", **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "a.logger", "msg": message, "levelname": "INFO"})
    vars(made).update(extra)
    return made


def access_record(caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    (found,) = [one for one in caplog.records if one.name == "access"]
    return found


def test_a_line_is_one_json_object_that_names_its_service() -> None:
    line = FORMATTER.format(record("two\nlines", **{"http.route": "/x"}))

    assert "\n" not in line
    parsed = json.loads(line)
    assert parsed["message"] == "two\nlines"
    assert parsed["service"] == "backend-flask"
    assert parsed["http.route"] == "/x"
    assert "trace_id" not in parsed


def test_within_a_span_a_line_carries_its_ids() -> None:
    with trace.get_tracer("test").start_as_current_span("s") as span:
        parsed = json.loads(FORMATTER.format(record()))

    context = span.get_span_context()
    assert parsed["trace_id"] == f"{context.trace_id:032x}"
    assert parsed["span_id"] == f"{context.span_id:016x}"
    assert int(parsed["trace_flags"], 16) & 1


def test_a_line_of_a_trace_that_is_not_recorded_says_so() -> None:
    caller = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(0))
    with trace.use_span(trace.NonRecordingSpan(caller)):
        parsed = json.loads(FORMATTER.format(record()))

    assert (parsed["trace_id"], parsed["trace_flags"]) == (f"{1:032x}", "00")


def test_an_exception_stays_within_the_line() -> None:
    error = ZeroDivisionError("by design")

    line = FORMATTER.format(record(exc_info=(type(error), error, None)))

    assert "\n" not in line
    assert "ZeroDivisionError: by design" in json.loads(line)["exception"]


class Unreadable(dict[str, int]):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    def items(self) -> NoReturn:
        raise RuntimeError("no items")


LOOP: list[object] = []
LOOP += [LOOP, LOOP]


def strictly(line: str) -> dict[str, Any]:
    """Parsed as others than Python do: NaN is no JSON, and a lone surrogate no text."""

    def refuse(constant: str) -> NoReturn:
        raise AssertionError(constant)

    assert "\n" not in line
    parsed = json.loads(line, parse_constant=refuse)
    json.dumps(parsed, ensure_ascii=False).encode()
    return dict(parsed)


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (float("nan"), "NaN"),
        ([float("inf"), float("-inf")], ["Infinity", "-Infinity"]),
        ({(1, 2): 3}, {"(1, 2)": 3}),
        ({None: {1.5: "x"}}, {"None": {"1.5": "x"}}),
        ("caf\udce9.txt", "caf\ufffd.txt"),
        (LOOP, ["…", "…"]),
        (10**5000, "<int cannot be read: ValueError>"),
        (Unreadable(a=1), "<Unreadable cannot be read: RuntimeError>"),
        (b"\xff", "\ufffd"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_an_app_logs_is_valid_json(value: object, printed: object) -> None:
    assert strictly(FORMATTER.format(record(thing=value)))["thing"] == printed


@pytest.mark.parametrize("arguments", [("x",), (), (1, 2), ({"a": 1},), (Unreadable(),)])
def test_a_message_that_does_not_fit_its_arguments_is_no_lost_line(
    arguments: tuple[object, ...],
) -> None:
    made = record("%d of %d \udce9")
    made.args = arguments

    message = strictly(FORMATTER.format(made))["message"]

    assert message.startswith("%d of %d \ufffd" if arguments != (1, 2) else "1 of 2 \ufffd")


def test_made_up_values_are_valid_json() -> None:
    inputs = 0
    texts = st.text(st.characters(exclude_categories=()), max_size=8)
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | texts
    keys = leaves | st.tuples(leaves, leaves) | st.sampled_from([frozenset({1}), object()])
    values = st.recursive(
        leaves | st.decimals() | st.uuids() | st.datetimes() | st.complex_numbers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(keys, inner, max_size=3)
            | st.tuples(inner, inner)
        ),
        max_leaves=6,
    )

    @settings(quick, max_examples=200)
    @given(message=values, arguments=st.tuples() | st.tuples(values), extra=values, name=texts)
    def log(message: Any, arguments: Any, extra: Any, name: str) -> None:
        nonlocal inputs
        inputs += 1
        made = record(message, **{f"x-{name}": extra})
        made.args = arguments

        assert strictly(FORMATTER.format(made))["service"] == "backend-flask"

    log()
    print(f"{inputs} log records made up")
    assert inputs >= 200


def test_an_extra_field_cannot_take_the_place_of_a_lines_own() -> None:
    assert json.loads(FORMATTER.format(record(service="other")))["service"] == "backend-flask"


def test_a_request_leaves_one_record_with_telemetrys_own_names(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    client.get("/api/activities/@worf", environ_base={"REMOTE_ADDR": "192.0.2.7"})

    fields = vars(access_record(caplog))
    assert fields["client.address"] == "192.0.2.7"
    assert fields["http.request.method"] == "GET"
    assert fields["url.scheme"] == "http"
    assert fields["url.path"] == "/api/activities/@worf"
    assert fields["http.route"] == "/api/activities/@<handle>"
    assert fields["http.response.status_code"] == 200
    assert 0 < fields["http.server.request.duration"] < 5
    assert access_record(caplog).getMessage() == "GET /api/activities/@worf 200"


def test_the_query_string_is_nowhere_in_the_record(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    client.get("/api/activities/search?term=hunter2", headers={"Authorization": "Bearer hunter2"})

    assert "hunter2" not in FORMATTER.format(access_record(caplog))


@pytest.mark.parametrize("status", [404, 405, 422, 500])
def test_a_request_that_fails_is_logged_as_well(
    make_client: MakeClient, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.INFO)
    client = make_client(debug_routes=True)
    method, path = {
        404: ("GET", "/nothing"),
        405: ("PUT", "/api/activities/home"),
        422: ("GET", "/api/activities/search"),
        500: ("GET", "/api/debug/error"),
    }[status]

    client.open(path, method=method)

    assert vars(access_record(caplog))["http.response.status_code"] == status


def test_health_checks_do_not_fill_the_log(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    client.get("/api/health-check")

    assert not [one for one in caplog.records if one.name == "access"]


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/api/activities/@worf", "/api/activities/@worf"),
        ("/api/activities/search", "/api/activities/search"),
        (
            "/api/activities/a3bb189e-8bf9-4888-9912-ace4e6543002",
            "/api/activities/a3bb189e-8bf9-4888-9912-ace4e6543002",
        ),
        ("/login;jsessionid=abc", "/login"),
        ("/reset/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ3b3JmIn0.c2ln", "/reset/****"),
        ("/token=abc/x", "/****"),
        ("/k/AKIA0123456789ABCDEFGHIJ", "/k/****"),
        ("/a\nb", "/a�b"),
        ("/" + "x" * 400, "/" + "x" * 255),
    ],
)
def test_a_path_is_written_down_without_what_could_be_secret(path: str, written: str) -> None:
    assert path_without_secrets(path) == written


def test_the_development_servers_request_lines_are_dropped_and_its_notices_kept() -> None:
    line = '127.0.0.1 - - [21/Nov/2026 11:00:00] "%s" %s %s'

    assert not DropRequestLines().filter(record(line))
    assert DropRequestLines().filter(record(" * Running on http://127.0.0.1:4567"))
