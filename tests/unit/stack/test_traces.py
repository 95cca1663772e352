"""What `make traces` and `make trace` show of the local record."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from stack.commands.trace import _as_object, lines
from stack.commands.traces import _wanted, as_object, table
from stack.errors import StackError
from stack.otlp_json import span_body, spans
from stack.telemetry import BLOCK, KINDS
from stack.traces import Trace, check_record, find_trace, last_traces

MS = 10**6
NOON = 1793534400 * 10**9
"""2026-11-01 12:00 UTC."""
TRACE = "8fa534c0" + "1" * 24
HOSTILE = "\x1b]0;owned\x07\x1b[2J[red]api\x9b31m\r\n\u202e\x00"

Attributes = dict[str, str | int]


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def attributes(values: Attributes) -> list[dict[str, Any]]:
    kinds = {str: "stringValue", int: "intValue"}
    return [{"key": key, "value": {kinds[type(one)]: one}} for key, one in values.items()]


def span(
    span_id: str,
    parent_id: str = "",
    name: str = "GET /api",
    at: float = 0,
    ms: float = 10,
    *,
    service: str = "backend-flask",
    trace_id: str = TRACE,
    error: str = "",
    events: Iterable[dict[str, Any]] = (),
    **more: str | int,
) -> dict[str, Any]:
    """An export of one span. `at`, `ms`: when it began after noon and how long it took, in
    milliseconds.
    """
    start = NOON + int(at * MS)
    body = span_body(
        trace_id,
        span_id,
        name,
        "SERVER",
        start=start,
        end=start + int(ms * MS),
        parent_id=parent_id,
    )
    body["attributes"] = attributes({key.replace("__", "."): one for key, one in more.items()})
    body["events"] = list(events)
    if error:
        body["status"] = {"code": 2, "message": error}
    return spans(service, [body])


def event(name: str, at: float, **more: str) -> dict[str, Any]:
    named: Attributes = {key.replace("__", "."): one for key, one in more.items()}
    time_ = str(NOON + int(at * MS))
    return {"name": name, "timeUnixNano": time_, "attributes": attributes(named)}


def log(span_id: str, at: float, body: str, severity: str = "INFO") -> dict[str, Any]:
    record = {
        "timeUnixNano": str(NOON + int(at * MS)),
        "severityText": severity,
        "body": {"stringValue": body},
        "traceId": TRACE,
        "spanId": span_id,
    }
    resource = {"attributes": attributes({"service.name": "backend-flask"})}
    return {
        "resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}],
    }


def write(file: Path, exports: Iterable[dict[str, Any]]) -> None:
    with file.open("a") as record:
        for export in exports:
            record.write(json.dumps(export, separators=(",", ":")) + "\n")


def shown(trace: Trace, **options: bool) -> str:
    terminal = io.StringIO()
    console = Console(file=terminal, highlight=False)
    for line in lines(trace, **options):
        console.print(line, soft_wrap=True)
    return terminal.getvalue()


CLICK = [
    span("c", "b", "GET /api/activities/@<handle>", 4, 30, http__response__status_code=500,
         error="KeyError: 'worf'",
         events=[event("exception", 32, exception__type="KeyError", exception__message="'worf'")]),
    span("d", "c", "SELECT cruddur", 6, 1.25),
    span("e", "c", "GET", 9, 12),
    span("f", "e", "GET /api/profiles", 11, 8, service="profiles-flask",
         http__response__status_code=200),
    span("a", "", "click open person", 0, 41.2, service="frontend-react"),
    span("b", "a", "GET /api/activities/@{handle}", 1, 38, service="frontend-react"),
]  # fmt: skip


def test_a_click_reads_from_the_browser_to_the_database(tmp_path: Path) -> None:
    write(tmp_path / "traces.jsonl", CLICK)
    write(
        tmp_path / "logs.jsonl",
        [
            log("c", 7, "2 activities\nof worf"),
            log("c", 33, "gave up", "ERROR"),
            log("x", 50, "late"),
        ],
    )

    assert (
        shown(find_trace(tmp_path, "8fa534c0"))
        == """\
trace 8fa534c0111111111111111111111111 · 2026-11-01 12:00:00 · 41.2 ms · 6 spans · 3 services · \
1 error

      0 ms   41.2 ms  frontend-react click open person
      1 ms   38.0 ms  └─ frontend-react GET /api/activities/@{handle}
      4 ms   30.0 ms     └─ backend-flask GET /api/activities/@<handle> 500 ✗ KeyError: 'worf'
      6 ms    1.2 ms        ├─ backend-flask SELECT cruddur
      7 ms                  ├─ INFO 2 activities of worf
      9 ms   12.0 ms        ├─ backend-flask GET
     11 ms    8.0 ms        │  └─ profiles-flask GET /api/profiles 200
     32 ms                  ├─ exception KeyError: 'worf'
     33 ms                  └─ ERROR gave up

log records of spans that are not in the record:
     50 ms            INFO late
"""
    )


def test_what_is_unusual_about_a_spans_place_is_written_beside_it(tmp_path: Path) -> None:
    write(
        tmp_path / "traces.jsonl",
        [
            span("b", "a", "call", 0, 10),
            span("c", "b", "task", 2010, 5),
            span("d", "b", "skewed", -500, 1),
        ],
    )
    assert shown(find_trace(tmp_path, TRACE)).splitlines()[2:] == [
        "    500 ms   10.0 ms  backend-flask call (its parent a is not in the record)",
        (
            "      0 ms    1.0 ms  ├─ backend-flask skewed "
            "(began before its parent: their clocks differ)"
        ),
        "   2510 ms    5.0 ms  └─ backend-flask task (began 2.00 s after its parent ended)",
    ]


def test_attributes_stand_under_their_span_when_asked_for(tmp_path: Path) -> None:
    write(
        tmp_path / "traces.jsonl", [span("a", http__route="/api"), span("b", "a", db__system="x")]
    )
    said = shown(find_trace(tmp_path, TRACE), attributes=True)
    assert "\n                      │  http.route=/api\n" in said
    assert "\n                            db.system=x\n" in said


class TestShape:
    """The tree as Jaeger's own page makes it of the same spans: selectors/trace and
    model/trace-viewer in jaegertracing/jaeger-ui. There, too, the children of a span are in the
    order of their start, one whose parent is not there is on top, and a trace is called after the
    span without a parent, else after the earliest of those whose parents are not there.
    """

    def tree(self, tmp_path: Path, *exports: dict[str, Any]) -> list[str]:
        write(tmp_path / "traces.jsonl", exports)
        trace = find_trace(tmp_path, TRACE)
        return [f"{'  ' * one['depth']}{one['name']}" for one in _as_object(trace)["tree"]]

    def test_children_are_in_the_order_of_their_start(self, tmp_path: Path) -> None:
        found = self.tree(
            tmp_path, span("c", "a", "later", 5), span("b", "a", "sooner", 1), span("a", "", "root")
        )
        assert found == ["root", "  sooner", "  later"]

    def test_a_span_without_its_parent_is_on_top(self, tmp_path: Path) -> None:
        found = self.tree(
            tmp_path,
            span("b", "gone", "orphan", 5),
            span("c", "b", "its child", 6),
            span("a", "", "root"),
        )
        assert found == ["root", "orphan", "  its child"]

    @pytest.mark.parametrize(
        ("tops", "named"),
        [
            ([("", "root", 9), ("gone", "orphan", 0)], "root"),
            ([("gone", "later", 9), ("lost", "sooner", 0)], "sooner"),
            ([("", "second", 9), ("", "first", 0)], "first"),
        ],
        ids=["a root before an orphan", "the earliest orphan", "the earliest root"],
    )
    def test_a_trace_is_called_after_what_it_begins_with(
        self, tmp_path: Path, tops: list[tuple[str, str, float]], named: str
    ) -> None:
        exports = [span(str(n), parent, name, at) for n, (parent, name, at) in enumerate(tops)]
        self.tree(tmp_path, *exports)
        assert find_trace(tmp_path, TRACE).summary.name == named

    def test_a_span_that_was_delivered_twice_is_there_once(self, tmp_path: Path) -> None:
        assert self.tree(tmp_path, span("a"), span("a"), span("b", "a", "child")) == [
            "GET /api", "  child",
        ]  # fmt: skip

    def test_spans_that_are_each_others_parents_are_there(self, tmp_path: Path) -> None:
        found = self.tree(
            tmp_path, span("a", "b", "one", 0), span("b", "a", "two", 1), span("c", "c", "own", 2)
        )
        assert found == ["one", "  two", "own"]

    def test_a_thousand_deep_is_no_error(self, tmp_path: Path) -> None:
        found = self.tree(tmp_path, *(span(f"{n}", f"{n - 1}" if n else "") for n in range(3000)))
        assert len(found) == 3000


def test_a_trace_is_read_across_rotated_files(tmp_path: Path) -> None:
    write(tmp_path / "traces-2026-12-01T10-00-00.000-size.jsonl", [span("b", "a", "child", 1)])
    write(tmp_path / "traces.jsonl", [span("a", "", "root")])
    assert find_trace(tmp_path, TRACE).summary.spans == 2
    assert [(one.name, one.spans) for one in last_traces(tmp_path, lambda _: True, 9)] == [
        ("root", 2)
    ]


def many(folder: Path, count: int) -> None:
    """Traces of two spans, one every 100 ms, in lines of a kilobyte; the last of them is TRACE."""
    write(
        folder / "traces.jsonl",
        (
            export
            for number in range(count)
            for trace_id in [TRACE if number == count - 1 else f"{number:032x}"]
            for export in (
                span("b", "a", at=number * 100 + 1, trace_id=trace_id, padding="x" * 1000),
                span("a", "", f"trace {number}", number * 100, number % 50, trace_id=trace_id,
                     service="orders" if number % 100 == 0 else "backend-flask",
                     error="" if number % 200 else "no",
                     http__status_code=200 if number % 200 else 500),
            )
        ),
    )  # fmt: skip


def test_the_last_traces_are_the_newest_and_whole(tmp_path: Path) -> None:
    many(tmp_path, 2000)
    assert (tmp_path / "traces.jsonl").stat().st_size > 3 * BLOCK
    found = last_traces(tmp_path, lambda _: True, 3)
    assert [(one.name, one.spans) for one in found] == [
        ("trace 1999", 2), ("trace 1998", 2), ("trace 1997", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("service", "status", "slower", "names"),
    [
        ("orders", None, None, ["trace 1900", "trace 1800"]),
        (None, "error", None, ["trace 1800", "trace 1600"]),
        (None, "5xx", None, ["trace 1800", "trace 1600"]),
        (None, "404", None, []),
        (None, None, 0.0485, ["trace 1999", "trace 1949"]),
        ("nobody", None, None, []),
    ],
)
def test_what_is_asked_for_is_found_however_long_ago_it_was(
    tmp_path: Path, service: str | None, status: str | None, slower: float | None, names: list[str]
) -> None:
    many(tmp_path, 2000)
    found = last_traces(tmp_path, _wanted(service, status, slower), 2)
    assert [one.name for one in found] == names


def test_a_time_ends_the_list(tmp_path: Path) -> None:
    many(tmp_path, 2000)
    found = last_traces(tmp_path, lambda _: True, 100, since=NOON + 199_700 * MS)
    assert [one.name for one in found] == ["trace 1999", "trace 1998", "trace 1997"]


def test_the_list_has_a_line_for_each_trace(tmp_path: Path) -> None:
    write(tmp_path / "traces.jsonl", CLICK)
    terminal = io.StringIO()
    Console(file=terminal, width=100).print(table(last_traces(tmp_path, lambda _: True, 5)))
    assert [line.rstrip() for line in terminal.getvalue().splitlines()] == [
        "time            service         name               status     duration  spans  trace",
        "11-01 12:00:00  frontend-react  click open person  500 error   41.2 ms      6  8fa534c0",
    ]


def test_json_has_the_times_and_the_whole_id(tmp_path: Path) -> None:
    write(tmp_path / "traces.jsonl", CLICK)
    [one] = last_traces(tmp_path, lambda _: True, 5)
    assert as_object(one) == {
        "start": "2026-11-01T12:00:00+00:00",
        "duration_ms": 41.2,
        "trace_id": TRACE,
        "service": "frontend-react",
        "name": "click open person",
        "status": "500",
        "spans": 6,
        "errors": 1,
        "services": ("frontend-react", "backend-flask", "profiles-flask"),
    }
    tree = json.loads(json.dumps(_as_object(find_trace(tmp_path, TRACE))))["tree"]
    assert [(one["depth"], one["service"]) for one in tree][:3] == [
        (0, "frontend-react"), (1, "frontend-react"), (2, "backend-flask"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [TRACE, TRACE[:6], TRACE.upper(), f"1-{TRACE[:8]}-{TRACE[8:]}", f"00-{TRACE}-{'a' * 16}-01"],
    ids=["whole", "its beginning", "in capitals", "as X-Ray writes it", "a traceparent"],
)
def test_a_trace_is_known_by(tmp_path: Path, given: str) -> None:
    write(tmp_path / "traces.jsonl", [span("a"), span("b", trace_id="9" * 32)])
    assert find_trace(tmp_path, given).summary.trace_id == TRACE


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "'' is no trace id; an id has 32 digits"),
        ("12345", "'12345' is no trace id"),
        ("x" * 40, "a value of 40 characters is no trace id"),
        ("f" * 32, f"no trace whose id begins with {'f' * 32} is in"),
        ("8fa534", "2 traces begin with 8fa534: 8fa534c0"),
    ],
)
def test_an_id_that_leads_nowhere_is_one_line(tmp_path: Path, given: str, said: str) -> None:
    write(tmp_path / "traces.jsonl", [span("a"), span("b", trace_id="8fa534" + "2" * 26)])
    with pytest.raises(StackError) as refused:
        find_trace(tmp_path, given)
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("there", [False, True], ids=["no file", "an empty file"])
def test_an_empty_record_says_so(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "traces.jsonl").touch()
    with pytest.raises(StackError, match="no trace is recorded"):
        check_record(tmp_path)
    with pytest.raises(StackError, match="no trace is recorded"):
        find_trace(tmp_path, TRACE)


def test_a_torn_line_hides_no_other(tmp_path: Path) -> None:
    write(tmp_path / "traces.jsonl", [span("a")])
    with (tmp_path / "traces.jsonl").open("a") as record:
        record.write('{"resourceSpans":[{"res\n\n')
    write(tmp_path / "traces.jsonl", [span("b", "a")])
    with (tmp_path / "traces.jsonl").open("a") as record:
        record.write('{"resourceSpans":')
    assert find_trace(tmp_path, TRACE).summary.spans == 2
    assert [one.spans for one in last_traces(tmp_path, lambda _: True, 9)] == [2]


def test_a_line_longer_than_a_block_is_read(tmp_path: Path) -> None:
    write(tmp_path / "traces.jsonl", [span("a", padding="x" * (3 * BLOCK)), span("b", "a", at=1)])
    assert [one.spans for one in last_traces(tmp_path, lambda _: True, 9)] == [2]
    assert find_trace(tmp_path, TRACE).summary.spans == 2


def test_a_terminal_gets_no_escape_sequence_that_a_sender_chose(tmp_path: Path) -> None:
    write(
        tmp_path / "traces.jsonl",
        [
            span("a", HOSTILE, HOSTILE, service=HOSTILE, error=HOSTILE, http__status_code=HOSTILE,
                 other=HOSTILE, events=[event(HOSTILE, 1, key=HOSTILE),
                                        event("exception", 2, exception__type=HOSTILE)]),
        ],
    )  # fmt: skip
    write(tmp_path / "logs.jsonl", [log("a", 3, HOSTILE, HOSTILE), log("z", 3, HOSTILE, HOSTILE)])
    terminal = io.StringIO()
    Console(file=terminal, width=300).print(table(last_traces(tmp_path, lambda _: True, 5)))
    for said in (shown(find_trace(tmp_path, TRACE), attributes=True), terminal.getvalue()):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said)
        assert "\ufffd]0;owned" in said
        assert "[red]api" in said


def test_numbers_that_no_sender_should_write_are_no_error(tmp_path: Path) -> None:
    strange = span("a", ms=-5, http__status_code=10**30)
    strange["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["kind"] = len(KINDS) + 5
    write(tmp_path / "traces.jsonl", [strange])
    assert " -  backend-flask" in shown(find_trace(tmp_path, TRACE))
    Console(file=io.StringIO()).print(table(last_traces(tmp_path, lambda _: True, 5)))
