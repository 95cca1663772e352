"""`verify`, `status`, `doctor`, `break`, `reload` and `provision`, as a user runs them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from emulators.client import Client
from stack.telemetry import read_points, read_spans
from stack.waiting import wait_for
from tests.integration.harness.account import aws
from tests.integration.harness.checkout import Checkout, running_checkout
from tests.integration.harness.traffic import send, send_many
from tests.integration.harness.witness import latest, server_spans

SIGNALS = ("traces", "metrics", "logs")
EVERYBODY = {
    *(("local record", signal) for signal in SIGNALS),
    *(("honeycomb", signal) for signal in SIGNALS),
    ("xray", "traces"),
    ("cloudwatch", "metrics"),
    ("cloudwatch", "logs"),
    ("rollbar", "errors"),
}
DURATION = "http.server.request.duration"
SOON_SECONDS = 10
TRIES = 3
LATE = "was not done after|gives no answer within|cannot be reached within"
HONEYCOMB = re.compile(r"  otlp_http/honeycomb:\n(?:    .*\n)+\n|    \w+/honeycomb: \{.*\}\n")
"""Its exporter and its pipelines, as somebody deletes them from the config."""


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Checkout]:
    """A checkout whose stack is up, on the runtime that is under test."""
    runtime = request.config.getoption("--runtime")
    with running_checkout(tmp_path_factory.mktemp("checkout"), runtime) as checkout:
        yield checkout


@pytest.fixture
def checkout(running: Checkout) -> Iterator[Checkout]:
    """The running one, with every vendor well and the config as shipped."""
    shipped = running.config.read_text()
    yield running
    assert running.run("heal").code == 0
    if running.config.read_text() != shipped:
        running.config.write_text(shipped)
        assert running.run("reload").code == 0


@pytest.fixture
def emulators(checkout: Checkout) -> Iterator[Client]:
    with Client(f"http://127.0.0.1:{checkout.ports['EMULATOR_CONTROL_PORT']}") as client:
        yield client


def verify(checkout: Checkout, deadline: int = 60) -> tuple[int, dict[tuple[str, str], Any]]:
    """The exit code, and what is said of each vendor and signal."""
    ended = checkout.run("verify", "--json", f"--deadline={deadline}")
    lines = [line for line in ended.output.splitlines() if line.startswith("{")]
    assert lines, ended.output
    report = json.loads(lines[-1])
    return ended.code, {(one["vendor"], one["signal"]): one for one in report["deliveries"]}


def problems_of(checkout: Checkout) -> dict[str, str]:
    """What is wrong, by doctor's checks, once each of them was done in its six seconds."""

    def look() -> dict[str, str]:
        ended = checkout.run("doctor", "--json")
        findings = json.loads(ended.output[ended.output.index('{"') :].splitlines()[0])["findings"]
        return {one["check"]: one["what"] for one in findings if one["verdict"] == "problem"}

    return wait_for(
        "doctor to be done with every check",
        look,
        until=lambda found: not any(re.search(LATE, what) for what in found.values()),
        seconds=120,
    )


def test_everything_arrives_everywhere_without_a_key(checkout: Checkout) -> None:
    # when
    code, told = verify(checkout)
    # then
    assert {who: one["state"] for who, one in told.items()} == dict.fromkeys(EVERYBODY, "arrived")
    assert code == 0
    # and soon: by the least disturbed of some, since other programs only ever add
    took = [max(one["seconds"] for one in told.values())]
    while min(took) >= SOON_SECONDS and len(took) < TRIES:
        code, told = verify(checkout)
        assert code == 0, told
        took.append(max(one["seconds"] for one in told.values()))
    assert min(took) < SOON_SECONDS, took


def test_a_refused_key_is_red_for_that_vendor_alone_and_named(checkout: Checkout) -> None:
    # given
    assert checkout.run("break", "honeycomb", "401").code == 0
    # when
    code, told = verify(checkout)
    # then
    red = {who for who, one in told.items() if one["state"] != "arrived"}
    assert red == {("honeycomb", signal) for signal in SIGNALS}, told
    assert all("401" in told[who]["why"] for who in red), told
    assert code == 1
    # and the ledger tells it too
    troubled = {
        entry["vendor"]: entry["last_error"]
        for entry in checkout.status()["ledger"]
        if entry["failed"] or entry["last_error"]
    }
    assert set(troubled) == {"honeycomb"}, troubled
    assert "401" in troubled["honeycomb"]
    # and doctor
    problems = problems_of(checkout)
    assert "HONEYCOMB_API_KEY" in problems["honeycomb"], problems
    assert set(problems) <= {"honeycomb", "delivery"}, problems


def test_a_hanging_vendor_is_red_alone_and_gets_all_once_it_is_back(
    checkout: Checkout, emulators: Client
) -> None:
    # given
    assert checkout.run("break", "xray", "hang").code == 0
    # when
    code, told = verify(checkout, deadline=30)
    exchanges = send_many(f"{checkout.url}/api/activities/home", 40)
    # then
    assert {who for who, one in told.items() if one["state"] != "arrived"} == {("xray", "traces")}
    assert code == 1
    assert all(exchange.response.ok for exchange in exchanges)
    wanted = {exchange.trace_id for exchange in exchanges}
    wait_for(
        "every trace at Honeycomb",
        lambda: wanted - _traces(emulators, "honeycomb"),
        until=lambda missing: not missing,
        seconds=90,
    )
    queued = {entry["vendor"]: entry["queued"] for entry in checkout.status()["ledger"]}
    assert queued["xray"] > 0
    # when
    assert checkout.run("heal").code == 0
    # then
    wait_for(
        "every trace at X-Ray",
        lambda: wanted - _traces(emulators, "xray"),
        until=lambda missing: not missing,
        seconds=120,
    )


def test_honeycomb_is_deleted_and_nobody_else_misses_a_span(
    checkout: Checkout, emulators: Client
) -> None:
    # given
    before = send_many(f"{checkout.url}/api/activities/home", 20)
    edited, parts = HONEYCOMB.subn("", checkout.config.read_text())
    assert parts == 1 + len(SIGNALS)
    checkout.config.write_text(edited)
    # when it is applied while requests come
    reload = checkout.begin("reload")
    during = []
    while reload.poll() is None:
        during += send_many(f"{checkout.url}/api/activities/home", 8)
    output = reload.communicate()[0]
    after = send_many(f"{checkout.url}/api/activities/home", 20)
    # then
    assert reload.returncode == 0, output
    everyone = {exchange.trace_id for exchange in (*before, *during, *after)}
    wait_for(
        "every trace at X-Ray",
        lambda: everyone - _traces(emulators, "xray"),
        until=lambda missing: not missing,
        seconds=90,
    )
    recorded = {one.trace_id for one in read_spans(checkout.run_dir / "telemetry/traces.jsonl")}
    assert everyone <= recorded
    assert not _traces(emulators, "honeycomb") & {exchange.trace_id for exchange in after}
    twice = [span for span, times in emulators.ids("xray").items() if times > 1]
    assert twice == []


def test_a_broken_edit_is_refused_and_the_old_config_goes_on(
    checkout: Checkout, emulators: Client
) -> None:
    # given
    text = checkout.config.read_text()
    checkout.config.write_text(text.replace("[otlp_http/honeycomb]", "[otlp_http/honeycom]"))
    # when
    refused = checkout.run("reload")
    # then
    assert refused.code == 1
    assert "honeycom" in refused.error
    assert "did you mean" in refused.error
    # and the traces still arrive
    checkout.config.write_text(text)
    exchange = send(f"{checkout.url}/api/activities/home")
    wait_for(
        "the trace at Honeycomb",
        lambda: exchange.trace_id in _traces(emulators, "honeycomb"),
        seconds=90,
    )


def test_every_request_counts_once_in_cloudwatch_also_after_an_outage(
    checkout: Checkout, emulators: Client
) -> None:
    """Two workers with equal labels, totals made differences, batches tried again."""

    def counted() -> float:
        points = emulators.metrics(namespace="cruddur", name=DURATION)
        return float(
            sum(
                point["statistics"]["count"]
                for point in points
                if point["dimensions"] == {"service.name": "backend-flask"}
            )
        )

    def unwritten() -> float:
        """Requests in the record of traces that the record of metrics does not count yet."""
        telemetry = checkout.run_dir / "telemetry"
        spans = server_spans(read_spans(telemetry / "traces.jsonl"), "backend-flask")
        points = [
            point
            for point in latest(read_points(telemetry / "metrics.jsonl"))
            if point.metric == DURATION and point.resource["service.name"] == "backend-flask"
        ]
        return len(spans) - sum(point.value for point in points)

    def settle() -> None:
        """Wait until the collector has all counts, and none came for two exports' time."""
        wait_for("all counts", unwritten, until=lambda left: left == 0, seconds=60)
        wait_for("quiet", unchanged, seconds=60)

    def unchanged() -> bool:
        seen = counted()
        time.sleep(11)
        return counted() == seen

    # given what is on its way from earlier tests
    settle()
    before = counted()
    # when CloudWatch is away for some of the requests
    send_many(f"{checkout.url}/api/activities/home", 40)
    assert checkout.run("break", "cloudwatch", "503").code == 0
    send_many(f"{checkout.url}/api/activities/home", 40)
    wait_for(
        "refused batches",
        lambda: [r for r in emulators.requests("aws") if r["status"] == 503],
        seconds=60,
    )
    assert checkout.run("heal").code == 0
    # then
    wait_for(
        "80 requests in CloudWatch",
        lambda: counted() - before,
        until=lambda count: count >= 80,
        seconds=60,
    )
    settle()
    assert counted() - before == 80


def test_provision_shows_what_it_changes_and_then_finds_nothing_to_do(checkout: Checkout) -> None:
    # when
    shown = checkout.run("provision", "--dry-run")
    made = checkout.run("provision")
    again = checkout.run("provision")
    # then
    assert [ended.code for ended in (shown, made, again)] == [0, 0, 0], made.output
    # The collector made the log groups: they are taken over first, the rest is compared then.
    for ended in (shown, made):
        assert "< Logs::LogGroup Logs" in ended.output, ended.output
    assert "+ XRay::SamplingRule SamplingRule" not in shown.output
    assert "+ XRay::SamplingRule SamplingRule" in made.output, made.output
    assert "everything is there already" in again.output


def test_queries_are_created_once(checkout: Checkout) -> None:
    # when
    first, second = checkout.run("queries"), checkout.run("queries")
    # then
    assert first.output.count("created") == 3, first.output
    assert second.output.count("unchanged") == 3, second.output


def test_an_error_reaches_rollbar_with_its_trace_and_the_span_knows_the_item(
    checkout: Checkout, emulators: Client
) -> None:
    # when
    exchange = send(
        f"{checkout.url}/api/debug/error?token=s3cr3t-in-a-query",
        headers={"X-Cruddur-User": "andrewbrown", "X-Api-Key": "s3cr3t-in-a-header"},
    )
    # then
    assert exchange.response.status_code == 500
    held = wait_for("the item", lambda: emulators.holds("rollbar", exchange.trace_id), seconds=60)
    [item] = held["items"]
    assert item["custom"]["trace_id"] == exchange.trace_id
    assert item["person"] == {"id": "andrewbrown"}
    assert item["environment"] == "local"
    assert item["code_version"]
    assert "s3cr3t" not in json.dumps(item)
    spans = wait_for(
        "its trace at Honeycomb",
        lambda: emulators.holds("honeycomb", exchange.trace_id).get("traces", []),
        # Spans of one trace may come in two batches.
        until=lambda spans: item["uuid"] in json.dumps(spans),
        seconds=60,
    )
    # and the POST to Rollbar is no span
    assert "/api/1/item" not in json.dumps(spans)


def test_from_a_trace_in_x_ray_to_its_logs_in_cloudwatch_and_back(
    checkout: Checkout, emulators: Client
) -> None:
    # given
    exchange = send(f"{checkout.url}/api/activities/home")
    # when X-Ray has it, its segment names the log group
    [own] = wait_for(
        "the backend's segment",
        lambda: [
            segment
            for segment in emulators.holds("xray", exchange.trace_id).get("traces", [])
            if segment["name"] == "backend-flask"
        ],
        seconds=60,
    )
    assert [logs["log_group"] for logs in own["aws"]["cloudwatch_logs"]] == ["cruddur"]
    # then the trace's id finds the access log's record there
    logs = aws(checkout, "logs")
    now = int(time.time())
    query = f'fields @timestamp, body, trace_id | filter trace_id = "{exchange.trace_id}"'

    def found() -> list[dict[str, str]]:
        started = logs.start_query(
            logGroupName="cruddur", startTime=now - 300, endTime=now + 300, queryString=query
        )
        rows = logs.get_query_results(queryId=started["queryId"])["results"]
        return [{cell["field"]: cell["value"] for cell in row} for row in rows]

    rows = wait_for(
        "the access log's record",
        found,
        until=lambda rows: any("/api/activities/home" in row["body"] for row in rows),
        seconds=60,
    )
    # and its id, as X-Ray writes it, finds the trace
    trace_id = rows[0]["trace_id"]
    dashed = f"1-{trace_id[:8]}-{trace_id[8:]}"
    traces = aws(checkout, "xray").batch_get_traces(TraceIds=[dashed])["Traces"]
    assert [trace["Id"] for trace in traces] == [dashed]


def test_a_wrong_key_is_refused_before_anything_starts(checkout: Checkout) -> None:
    for name, value, said in (
        ("HONEYCOMB_API_KEY", "hcaik_tooshort", "does not look like one"),
        ("HONEYCOMB_API_KEY", "", "is empty"),
        ("HONEYCOMB_APIKEY", "x", "did you mean HONEYCOMB_API_KEY?"),
        ("ROLLBAR_ACCESS_TOKEN", "abc", "does not look like one"),
    ):
        # given
        checkout.settings[name] = value
        # when
        ended = checkout.run("up")
        del checkout.settings[name]
        # then
        assert ended.code == 1
        assert said in ended.error
        assert name in ended.error


def _traces(emulators: Client, vendor: str) -> set[str]:
    return {span.split(":")[0] for span in emulators.ids(vendor)}
