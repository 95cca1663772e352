"""The collector's config, its life, and what it says that it delivered."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from stack.applied_config import apply_config
from stack.collector_config.files import ConfigTexts
from stack.doctor.collector import check_collector, check_config, check_delivery
from stack.doctor.setup import Setup
from stack.errors import StackError
from tests.unit.doctor.playing import Server, only, text

CONFIG = """\
receivers:
  otlp: {protocols: {http: {endpoint: 127.0.0.1:4318}}}
exporters:
  otlp_http/honeycomb:
    endpoint: ${env:HONEYCOMB_ENDPOINT}
    headers: {x-honeycomb-team: "${env:HONEYCOMB_API_KEY}"}
    sending_queue: {storage: file_storage}
    retry_on_failure: {max_elapsed_time: 0}
extensions:
  file_storage: {directory: q}
service:
  extensions: [file_storage]
  pipelines:
    traces: {receivers: [otlp], exporters: [otlp_http/honeycomb]}
"""

WELL = """\
otelcol_exporter_sent_spans{exporter="otlp_http/honeycomb"} 10
otelcol_exporter_queue_size{exporter="otlp_http/honeycomb",data_type="traces"} 2
otelcol_exporter_queue_capacity{exporter="otlp_http/honeycomb",data_type="traces"} 100
"""

ERROR = "Permanent error: responded with HTTP Status Code 401, Message=unknown API key"
LOG = (
    "2026-11-21T11:20:45.220Z\terror\tinternal/queue_sender.go:62\tExporting failed. Dropping data."
    '\t{"otelcol.component.id": "otlp_http/honeycomb", "otelcol.component.kind": "exporter", '
    f'"error": "{ERROR}", "dropped_items": 1}}\n'
    "go.opentelemetry.io/collector/exporter/exporterhelper/internal.NewQueueSender.func1\n"
    "\tgo.opentelemetry.io/collector/exporter/exporterhelper@v0.159.0/queue_sender.go:62\n"
    "2026-11-21T11:20:47.000Z\tinfo\tservice@v0.159.0/service.go:282\tEverything is ready."
    ' Begin running and processing data.\t{"resource": {}}\n'
)


@pytest.fixture
def running(
    make: Callable[..., Setup], with_config: Callable[[Setup, str], Setup], server: Server
) -> Setup:
    """A stack that is up; `server` plays the collector's health and metrics."""
    server.by_path["/metrics"] = (200, WELL)
    setup = make(up=True)
    ports = {"COLLECTOR_METRICS_PORT": server.url.rpartition(":")[2]}
    own = setup.settings.model_copy(update={"collector": {**setup.settings.collector, **ports}})
    return with_health(with_config(replace(setup, settings=own), CONFIG), f"{server.url}/")


def with_health(setup: Setup, url: str) -> Setup:
    """The setup with the collector's health elsewhere, and no other process."""
    collector = replace(setup.plan.process("collector"), health=url)
    return replace(setup, plan=replace(setup.plan, processes=(collector,)))


def apply(setup: Setup, config: str, seconds_later: int) -> None:
    """Write the collector's copies, older (negative) or younger than the file that people edit."""
    apply_config(setup.plan, ConfigTexts(config))
    at = setup.plan.config_source.stat().st_mtime + seconds_later
    for file in setup.plan.config_applied:
        os.utime(file, (at, at))


def write_log(setup: Setup, log: str) -> None:
    folder = setup.plan.folders["LOG_DIR"]
    folder.mkdir(parents=True)
    (folder / "collector.log").write_text(log)


def test_a_config_without_traps_says_where_it_sends(running: Setup) -> None:
    # when
    finding = only(check_config(running))
    # then
    assert finding.verdict == "ok"
    assert finding.what == "no traps in otel-config.yaml; the collector sends to honeycomb"


def test_a_trap_is_told_with_its_line(
    running: Setup, with_config: Callable[[Setup, str], Setup]
) -> None:
    # given
    setup = with_config(running, CONFIG.replace("{storage: file_storage}", "{storage: gone}"))
    # when
    findings = list(check_config(setup))
    # then
    assert "problem: " in text(findings)
    assert "otel-config.yaml:7: exporter otlp_http/honeycomb uses the storage gone" in text(
        findings
    )


def test_the_config_of_this_project_has_no_problems(make: Callable[..., Setup]) -> None:
    # when
    findings = list(check_config(make(up=False)))
    # then
    assert "problem" not in {finding.verdict for finding in findings}, text(findings)


def test_a_collector_that_works(running: Setup) -> None:
    # given
    apply(running, CONFIG, 1)
    # then
    assert only(check_collector(running)).verdict == "ok"


def test_an_edit_since_the_start_is_told(running: Setup) -> None:
    # given
    apply(running, CONFIG.replace("honeycomb", "bees"), -1)
    # when
    finding = only(check_collector(running))
    # then
    assert (finding.verdict, finding.todo) == ("warning", "`make reload`")


@pytest.mark.parametrize(
    ("config", "later"), [(CONFIG, -1), (CONFIG.replace("honeycomb", "bees"), 1)]
)
def test_a_touched_file_and_another_distributions_form_are_no_edits(
    running: Setup, config: str, later: int
) -> None:
    # given
    apply(running, config, later)
    # then
    assert only(check_collector(running)).verdict == "ok"


def test_a_collector_that_is_unwell_or_silent(running: Setup, server: Server) -> None:
    # given
    server.status = 503
    # then
    assert "not healthy (503)" in only(check_collector(running)).what
    # given
    setup = with_health(running, "http://127.0.0.1:1/")
    # then
    assert "does not answer" in only(check_collector(setup)).what


def test_a_stack_that_is_down_has_no_deliveries(make: Callable[..., Setup]) -> None:
    # given
    setup = make(up=False)
    # then
    for check in (check_collector, check_delivery):
        assert only(check(setup)).what == "the stack is not up"


def test_nothing_lost_is_well(running: Setup) -> None:
    # when
    finding = only(check_delivery(running))
    # then
    assert (finding.verdict, finding.what.endswith("for honeycomb")) == ("ok", True)


def test_what_failed_is_told_with_the_exporters_last_error(running: Setup, server: Server) -> None:
    # given
    lost = 'otelcol_exporter_send_failed_spans{exporter="otlp_http/honeycomb"} 7\n'
    server.by_path["/metrics"] = (200, WELL + lost)
    write_log(running, LOG)
    # when
    finding = only(check_delivery(running))
    # then
    assert finding.verdict == "problem"
    assert finding.what == (
        "honeycomb, since the collector's start: 7 spans failed; "
        f"the last error of otlp_http/honeycomb: {ERROR}"
    )


@pytest.mark.parametrize(
    ("metric", "verdict", "said"),
    [
        ('enqueue_failed_spans{exporter="otlp_http/honeycomb"} 3', "problem", "3 spans dropped"),
        (
            'queue_size{exporter="otlp_http/honeycomb",data_type="traces"} 81',
            "warning",
            "the queue for traces is 81% full",
        ),
    ],
)
def test_what_is_dropped_or_piles_up_is_told(
    running: Setup, server: Server, metric: str, verdict: str, said: str
) -> None:
    # given
    kept = [line for line in WELL.splitlines() if metric.partition("{")[0] not in line]
    server.by_path["/metrics"] = (200, "\n".join([*kept, f"otelcol_exporter_{metric}", ""]))
    # when
    finding = only(check_delivery(running))
    # then
    assert (finding.verdict, said in finding.what) == (verdict, True), finding


@pytest.mark.parametrize(
    ("metric", "verdict", "said"),
    [
        ("missing", "problem", "gone and cannot be written again: honeycomb (traces); what waits"),
        ("renewed_total", "warning", "is written again: honeycomb (traces)"),
    ],
)
def test_a_queues_file_that_was_deleted_is_told(
    running: Setup, server: Server, metric: str, verdict: str, said: str
) -> None:
    # given
    of = '{exporter="otlp_http/honeycomb",data_type="traces"}'
    server.by_path["/metrics"] = (200, f"{WELL}otelcol_exporter_queue_file_{metric}{of} 1\n")
    # when
    first, *_ = check_delivery(running)
    # then
    assert (first.verdict, said in first.what) == (verdict, True), first


def test_metrics_that_cannot_be_read_are_no_silence(running: Setup, server: Server) -> None:
    # given
    server.by_path["/metrics"] = (500, "")
    # then
    with pytest.raises(StackError, match="cannot be read"):
        list(check_delivery(running))


def test_a_fragments_key_that_is_not_set_is_told(make: Callable[..., Setup]) -> None:
    # given
    setup = make(up=False, fragments=("datadog",))
    # when
    said = text(check_config(setup))
    # then
    assert "problem: collector/vendors/datadog.yaml:" in said.replace(f"{setup.root}/", "")
    assert "DATADOG_API_KEY is not set" in said
