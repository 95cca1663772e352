"""What the collector's own `validate` lets pass is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack import fragments
from stack.collector_config.resolved import expand, read
from stack.collector_config.text import CONFIG_FILE
from stack.config_traps.addresses import beyond_loopback
from stack.config_traps.every import find_traps
from stack.config_traps.look import Trap
from stack.errors import StackError
from stack.settings import ROOT

GOOD = """\
receivers:
  otlp:
    protocols:
      http:
        endpoint: ${env:BIND:-127.0.0.1}:4318
processors:
  memory_limiter:
    limit_mib: 100
exporters:
  otlp_http/honeycomb:
    endpoint: https://api.honeycomb.io
    headers:
      x-honeycomb-team: ${env:HONEYCOMB_API_KEY}
    sending_queue:
      storage: file_storage
    retry_on_failure:
      max_elapsed_time: 0
  awsxray:
    endpoint: ${env:XRAY_ENDPOINT:-}
    sending_queue:
      storage: file_storage
    retry_on_failure:
      max_elapsed_time: 0
  awscloudwatchlogs:
    log_group_name: cruddur
    log_stream_name: one
    log_retention: 30
    sending_queue:
      storage: file_storage
    retry_on_failure:
      max_elapsed_time: 0
  file:
    path: traces.jsonl
    append: true
extensions:
  file_storage:
    directory: queues
service:
  extensions: [file_storage]
  pipelines:
    traces:
      receivers: [otlp]
      processors: [memory_limiter]
      exporters: [otlp_http/honeycomb, awsxray, file]
    logs:
      receivers: [otlp]
      exporters: [awscloudwatchlogs]
"""
KEY = {"HONEYCOMB_API_KEY": "a-key"}


def traps_of(
    tmp_path: Path, text: str, variables: dict[str, str] | None = None, *, native: bool = True
) -> list[Trap]:
    file = tmp_path / "otel-config.yaml"
    file.write_text(text)
    return find_traps([file], KEY if variables is None else variables, tmp_path, native=native)


def line_of(text: str, part: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), start=1) if part in line)


def test_a_config_without_traps_has_none(tmp_path: Path) -> None:
    assert traps_of(tmp_path, GOOD) == []


def test_a_vendor_taken_out_of_its_pipeline_is_no_problem(tmp_path: Path) -> None:
    [trap] = traps_of(tmp_path, GOOD.replace("awsxray, file]", "file]"))
    assert trap.severity == "warning"
    assert trap.what == "exporter awsxray is defined and does nothing"


SPOILT = {
    "authenticator that is nowhere": (
        "endpoint: https://api.honeycomb.io",
        "endpoint: https://api.honeycomb.io\n    auth:\n      authenticator: bearertokenauth",
        "problem",
        "authenticator: bearertokenauth",
        "authenticator bearertokenauth, which is not defined",
    ),
    "storage that is nowhere": (
        "      storage: file_storage\n    retry_on_failure:\n      max_elapsed_time: 0\n  file:",
        "      storage: file_storage/2\n    retry_on_failure:\n      max_elapsed_time: 0\n  file:",
        "problem",
        "storage: file_storage/2",
        "storage file_storage/2, which is not defined",
    ),
    "storage that is not started": (
        "  extensions: [file_storage]",
        "  extensions: []",
        "problem",
        "storage: file_storage",
        "which is not started",
    ),
    "file that is not there": (
        "endpoint: https://api.honeycomb.io",
        "endpoint: https://api.honeycomb.io\n    tls:\n      ca_file: certs/ca.pem",
        "problem",
        "ca_file",
        "certs/ca.pem does not exist",
    ),
    "endpoint that is no URL": (
        "endpoint: https://api.honeycomb.io",
        "endpoint: notaurl",
        "problem",
        "notaurl",
        "'notaurl' is no address",
    ),
    "endpoint whose port is no number": (
        "endpoint: https://api.honeycomb.io",
        "endpoint: https://api.honeycomb.io:https",
        "problem",
        "honeycomb.io:https",
        "is no address",
    ),
    "days that CloudWatch does not know": (
        "log_retention: 30",
        "log_retention: 31",
        "problem",
        "log_retention",
        "the nearest that it takes is 30",
    ),
    "X-Ray without a queue": (
        "XRAY_ENDPOINT:-}\n    sending_queue:\n      storage: file_storage",
        "XRAY_ENDPOINT:-}",
        "problem",
        "  awsxray:",
        "exporter awsxray has no queue: when xray hangs, every vendor waits",
    ),
    "queue switched off": (
        "x-honeycomb-team: ${env:HONEYCOMB_API_KEY}\n    sending_queue:",
        "x-honeycomb-team: ${env:HONEYCOMB_API_KEY}\n    sending_queue:\n      enabled: false",
        "problem",
        "enabled: false",
        "queue switched off",
    ),
    "queue in memory": (
        "_API_KEY}\n    sending_queue:\n      storage: file_storage",
        "_API_KEY}\n    sending_queue:\n      queue_size: 10",
        "warning",
        "    sending_queue:",
        "keeps its queue in memory",
    ),
    "app that waits for a full queue": (
        "_API_KEY}\n    sending_queue:",
        "_API_KEY}\n    sending_queue:\n      block_on_overflow: true",
        "warning",
        "block_on_overflow",
        "makes the app wait",
    ),
    "five minutes of patience": (
        "      max_elapsed_time: 0\n  awsxray:",
        "      initial_interval: 1s\n  awsxray:",
        "warning",
        "    retry_on_failure:",
        "gives up after 5 minutes",
    ),
    "no retry": (
        "      max_elapsed_time: 0\n  awsxray:",
        "      enabled: false\n  awsxray:",
        "warning",
        "enabled: false",
        "does not try again",
    ),
    "exporter in no pipeline": (
        "extensions:\n  file_storage:",
        "  otlp_grpc/jaeger:\n    endpoint: jaeger:4317\nextensions:\n  file_storage:",
        "warning",
        "otlp_grpc/jaeger",
        "defined and does nothing",
    ),
    "extension that is not started": (
        "extensions:\n  file_storage:",
        "extensions:\n  zpages:\n    endpoint: 127.0.0.1:1\n  file_storage:",
        "warning",
        "zpages",
        "name it in service.extensions",
    ),
    "receiver for everybody": (
        ":4318\nprocessors:",
        ":4318\n      grpc:\n        endpoint: 0.0.0.0:4317\nprocessors:",
        "warning",
        "0.0.0.0:4317",
        "where other machines reach it",
    ),
    "batch processor": (
        "  memory_limiter:\n    limit_mib: 100\nexporters:",
        "  batch: {}\n  memory_limiter:\n    limit_mib: 100\nexporters:",
        "warning",
        "  batch: {}",
        "answers before anything is stored",
    ),
    "file that is emptied": (
        "    append: true\n",
        "",
        "warning",
        "  file:",
        "empties its file",
    ),
    "two of each": (
        "    logs:",
        "    traces/2:\n      receivers: [otlp]\n      exporters: [otlp_http/honeycomb]\n    logs:",
        "warning",
        "traces/2:",
        "otlp_http/honeycomb, as traces does: it gets two of each",
    ),
}


CLEANED_ONCE = """
receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:4318"}}}}
processors: {redaction: {}, filter/own: {}}
connectors: {forward/clean: {}}
exporters: {debug/a: {}, debug/b: {}}
service:
  pipelines:
    traces: {receivers: [otlp], processors: [redaction], exporters: [forward/clean]}
    traces/a: {receivers: [forward/clean], exporters: [debug/a]}
    traces/b: {receivers: [forward/clean], processors: [filter/own], exporters: [debug/b]}
"""


def test_a_pipeline_past_the_one_that_cleans_is_a_warning(tmp_path: Path) -> None:
    text = CLEANED_ONCE.replace(
        "traces/a: {receivers: [forward/clean]", "traces/a: {receivers: [otlp]"
    )

    [trap] = traps_of(tmp_path, text)

    assert trap.what == "pipeline traces/a sends debug/a what otlp takes with its secrets"
    assert trap.todo == "let it receive what traces exports to, or name redaction in it"


def test_two_of_each_are_seen_through_a_connector(tmp_path: Path) -> None:
    more = "    traces/c: {receivers: [otlp], processors: [redaction], exporters: [debug/a]}\n"

    assert traps_of(tmp_path, CLEANED_ONCE) == []
    [trap] = traps_of(tmp_path, CLEANED_ONCE + more)

    assert trap.what.startswith(
        "pipeline traces/c sends what otlp takes to debug/a, as traces/a does"
    )


@pytest.mark.parametrize("name", SPOILT)
def test_each_trap_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    # given
    old, new, severity, where, said = SPOILT[name]
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    if name == "batch processor":
        text = text.replace("processors: [memory_limiter]", "processors: [memory_limiter, batch]")
    # when
    traps = traps_of(tmp_path, text)
    # then
    matching = [trap for trap in traps if said in f"{trap.what}. {trap.todo}"]
    assert matching, traps
    assert matching[0].severity == severity
    assert matching[0].todo, "the cure"
    line = int(matching[0].where.rpartition(":")[2])
    assert where in text.splitlines()[line - 1]
    assert matching[0].where == f"{tmp_path}/otel-config.yaml:{line}"
    assert name == "storage that is not started" or len(traps) == 1, traps


def test_a_key_header_without_its_variable_is_a_problem(tmp_path: Path) -> None:
    # when
    [trap] = traps_of(tmp_path, GOOD, {})
    # then
    assert trap.severity == "problem"
    assert "x-honeycomb-team empty: HONEYCOMB_API_KEY is not set" in trap.what
    assert trap.where.endswith(f":{line_of(GOOD, 'x-honeycomb-team')}")
    assert trap.todo == "set HONEYCOMB_API_KEY in .env"


def test_an_empty_variable_is_as_bad_as_an_unset_one(tmp_path: Path) -> None:
    assert len(traps_of(tmp_path, GOOD, {"HONEYCOMB_API_KEY": ""})) == 1


def test_a_key_that_is_only_a_part_of_its_header_is_missed_too(tmp_path: Path) -> None:
    # given
    text = GOOD.replace(
        "x-honeycomb-team: ${env:HONEYCOMB_API_KEY}", "Authorization: Bearer ${env:TOKEN}"
    )
    # then
    [trap] = traps_of(tmp_path, text, {})
    assert "TOKEN is not set" in trap.what


def test_a_header_that_is_no_key_is_a_warning(tmp_path: Path) -> None:
    # given
    text = GOOD.replace("    headers:", "    headers:\n      x-honeycomb-dataset: ${env:DATASET:-}")
    # then
    [trap] = traps_of(tmp_path, text)
    assert (trap.severity, "x-honeycomb-dataset" in trap.what) == ("warning", True)


def test_a_token_of_an_extension_is_looked_at(tmp_path: Path) -> None:
    # given
    text = GOOD.replace(
        "extensions:\n  file_storage:",
        "extensions:\n  bearertokenauth:\n    token: ${env:DASH0_TOKEN}\n  file_storage:",
    ).replace("[file_storage]", "[file_storage, bearertokenauth]")
    # then
    [trap] = traps_of(tmp_path, text)
    assert (trap.severity, "DASH0_TOKEN is not set" in trap.what) == ("problem", True)


def test_in_a_container_files_and_binding_are_not_judged(tmp_path: Path) -> None:
    # given
    text = GOOD.replace(
        "endpoint: https://api.honeycomb.io",
        "endpoint: https://api.honeycomb.io\n    tls:\n      ca_file: /certs/ca.pem",
    )
    # then
    assert traps_of(tmp_path, text, {**KEY, "BIND": "0.0.0.0"}, native=False) == []  # noqa: S104


def test_no_trap_ever_shows_a_key(tmp_path: Path) -> None:
    # given
    text = GOOD.replace("endpoint: https://api.honeycomb.io", "endpoint: nowhere").replace(
        "storage: file_storage", "storage: gone"
    )
    # then
    traps = traps_of(tmp_path, text, {"HONEYCOMB_API_KEY": "canary-1f2e3d"})
    assert traps
    assert "canary" not in str(traps)


def test_a_fragment_is_merged_over_the_file_and_named_by_its_own_line(tmp_path: Path) -> None:
    # given
    base, fragment = tmp_path / "a.yaml", tmp_path / "b.yaml"
    base.write_text(GOOD)
    fragment.write_text(
        "exporters:\n"
        "  otlp_http/axiom:\n"
        "    endpoint: https://api.axiom.co\n"
        "    headers: {authorization: '${env:AXIOM_TOKEN}'}\n"
        "    sending_queue: {storage: file_storage}\n"
        "    retry_on_failure: {max_elapsed_time: 0}\n"
        "extensions: {zpages: {endpoint: '127.0.0.1:1'}}\n"
        "service:\n"
        "  extensions: [zpages]\n"
        "  pipelines:\n"
        "    traces/axiom: {receivers: [otlp], exporters: [otlp_http/axiom]}\n"
    )
    # when
    [trap] = find_traps([base, fragment], KEY, tmp_path, native=True)
    # then
    assert trap.where == f"{fragment}:4"
    assert "AXIOM_TOKEN" in trap.what


def test_broken_yaml_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"otel-config.yaml:3: broken YAML"):
        traps_of(tmp_path, "receivers:\n  otlp: [\n")


def test_anchors_and_merge_keys_are_followed(tmp_path: Path) -> None:
    # given
    file = tmp_path / "c.yaml"
    file.write_text("a: &a {x: 1}\nb:\n  <<: *a\n  y: ${env:N:-7}\n")
    # then
    assert read([file], {}).tree == {"a": {"x": 1}, "b": {"x": 1, "y": 7}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${env:A}:${env:B:-2}", "1:2"),
        ("${A}", "1"),
        ("$$1 ${file:x}", "$1 ${file:x}"),
        ("${env:GONE}", ""),
        ("${env:EMPTY:-full}", ""),
    ],
)
def test_variables_are_replaced_as_the_collector_does(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "EMPTY": ""}) == expected


@pytest.mark.parametrize(
    ("endpoint", "open_"),
    [
        ("127.0.0.1:1", False),
        ("localhost:1", False),
        ("[::1]:1", False),
        ("0.0.0.0:1", True),
        (":4317", True),
        ("10.0.0.1:1", True),
    ],
)
def test_who_can_reach_a_listener(endpoint: str, open_: bool) -> None:
    assert beyond_loopback(endpoint) is open_


@pytest.mark.parametrize("name", fragments.names())
def test_a_vendors_fragment_has_no_traps_once_its_keys_are_set(tmp_path: Path, name: str) -> None:
    # given
    fragment = fragments.load(name)
    (tmp_path / "a-file.pem").write_text("")
    given = {
        key: "a-file.pem" if key.endswith("_FILE") else "https://vendor.example:443"
        for key in fragments.required_keys(fragment)
    }
    config = ROOT / CONFIG_FILE
    defaults = {"HONEYCOMB_API_KEY": "a-key", "HONEYCOMB_ENDPOINT": "https://vendor.example"}
    # when
    variables = {**defaults, **given}
    traps = find_traps([config, ROOT / fragment.file], variables, tmp_path, native=True)
    # then
    assert [trap for trap in traps if fragment.file in trap.where] == []
