"""The config file as text: portable, its ADOT form, its settings."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from stack.collector_config.distribution import KINDS, components, missing_components
from stack.collector_config.files import REDACTION_FILE, load_together
from stack.collector_config.forms import form_for, render_form
from stack.collector_config.text import CONFIG_FILE, env_defaults, load, parse
from stack.collector_config.validation import validate
from stack.errors import StackError
from stack.routes import intakes, routes
from stack.settings import ROOT

CONFIG = ROOT / CONFIG_FILE
SHIPPED = (CONFIG, ROOT / REDACTION_FILE)

MOST_LINES = 240

WITH_CONNECTOR = """
receivers: {otlp: {protocols: {http: {}}}}
connectors: {span_metrics: {}}
exporters:
  debug: {}
  otlp_http/x: {endpoint: "http://127.0.0.1:1", auth: {authenticator: bearertokenauth}}
extensions: {bearertokenauth: {token: t}, health_check: {}}
service:
  extensions: [bearertokenauth, health_check]
  pipelines:
    traces: {receivers: [otlp], exporters: [debug, span_metrics]}
    metrics: {receivers: [span_metrics], exporters: [debug]}
"""


TWO_WAYS_IN = """
receivers: {otlp: {protocols: {http: {}}}, otlp/b: {protocols: {grpc: {}}}}
processors: {filter/1: {}, filter/2: {}, filter/3: {}, filter/4: {}}
connectors: {forward/clean: {}}
exporters: {debug/a: {}, debug/b: {}}
service:
  pipelines:
    traces: {receivers: [otlp], processors: [filter/1], exporters: [forward/clean]}
    traces/b: {receivers: [otlp/b], processors: [filter/2], exporters: [debug/b, forward/clean]}
    logs: {receivers: [otlp], processors: [filter/3], exporters: [forward/clean]}
    traces/a: {receivers: [forward/clean], exporters: [debug/a]}
    logs/a: {receivers: [forward/clean], processors: [filter/4], exporters: [debug/a]}
"""


def test_contrib_has_every_component() -> None:
    assert missing_components(load_together(SHIPPED), "contrib") == []


def test_a_component_that_contrib_lacks_is_found() -> None:
    config = load_together(SHIPPED)
    config["processors"]["our_own/x"] = {}

    assert missing_components(config, "contrib") == ["processors/our_own/x"]


def test_the_adot_form_holds_only_what_adot_has() -> None:
    form, losses = form_for("adot", load_together(SHIPPED))

    assert missing_components(form, "adot") == []
    assert _undefined_names(form) == []
    assert any("masking of secrets inside values" in loss for loss in losses)


def test_the_adot_form_keeps_routes_and_all_that_adot_has() -> None:
    config, _ = form_for("contrib", load_together(SHIPPED))

    form, _ = form_for("adot", load_together(SHIPPED))

    assert form["exporters"] == config["exporters"]
    assert form["receivers"] == config["receivers"]
    assert routes(form) == routes(config)
    assert intakes(form) == intakes(config)


def test_the_adot_form_has_a_whole_pipeline_in_the_place_of_each_behind_a_connector() -> None:
    form, _ = form_for("adot", parse(TWO_WAYS_IN, CONFIG))

    assert "connectors" not in form
    assert form["service"]["pipelines"] == {
        "traces/a": {"receivers": ["otlp"], "processors": ["filter/1"], "exporters": ["debug/a"]},
        "traces/a/b": {
            "receivers": ["otlp/b"],
            "processors": ["filter/2"],
            "exporters": ["debug/a"],
        },
        "traces/b": {
            "receivers": ["otlp/b"],
            "processors": ["filter/2"],
            "exporters": ["debug/b"],
        },
        "logs/a": {
            "receivers": ["otlp"],
            "processors": ["filter/3", "filter/4"],
            "exporters": ["debug/a"],
        },
    }


def test_the_adot_form_still_takes_out_what_is_secret_by_its_name() -> None:
    config, _ = form_for("contrib", load_together(SHIPPED))

    form, losses = form_for("adot", load_together(SHIPPED))

    assert form["processors"]["attributes/redaction"]["actions"] == [
        {"action": "delete", "pattern": pattern}
        for pattern in config["processors"]["redaction"]["blocked_key_patterns"]
    ]
    pipelines = form["service"]["pipelines"].values()
    assert {
        tuple(pipeline["processors"][:2])
        for pipeline in pipelines
        if "otlp" in pipeline["receivers"]
    } == {("memory_limiter", "attributes/redaction")}
    assert any(loss.startswith("processor redaction: ") for loss in losses)


def test_the_adot_form_leaves_the_config_alone() -> None:
    config, untouched = load_together(SHIPPED), load_together(SHIPPED)

    form_for("adot", config)

    assert config == untouched


def test_connectors_and_authenticators_go_with_what_hangs_on_them() -> None:
    form, losses = form_for("adot", parse(WITH_CONNECTOR, CONFIG))

    assert form["service"]["pipelines"] == {
        "traces": {"receivers": ["otlp"], "exporters": ["debug"]}
    }
    assert form["service"]["extensions"] == ["health_check"]
    assert {"connector span_metrics", "extension bearertokenauth"} <= set(losses)
    assert "authentication of exporter otlp_http/x by bearertokenauth" in losses
    assert any(loss.startswith("pipeline metrics") for loss in losses)


def test_a_receiver_is_not_left_open_where_adot_has_no_authenticator_for_it() -> None:
    guarded = WITH_CONNECTOR.replace("http: {}", "http: {auth: {authenticator: bearertokenauth}}")

    with pytest.raises(StackError, match="receiver otlp would take from everybody"):
        form_for("adot", parse(guarded, CONFIG))


@pytest.mark.collector
def test_the_printed_adot_form_is_a_config_that_a_collector_takes(
    binary: Path, tmp_path: Path
) -> None:
    text, losses = render_form("adot", load_together(SHIPPED))
    printed = tmp_path / "adot.yaml"
    printed.write_text(text)

    validate(binary, [printed], {})

    assert yaml.safe_load(text)["service"]["pipelines"]["traces/honeycomb"]
    assert all(f"# Not in ADOT: {loss}" in text for loss in losses)


@pytest.mark.collector
def test_the_lists_spell_the_types_of_our_own_build_as_it_does(binary: Path) -> None:
    """A list that is wrong about a name would call an unportable file portable."""
    said = yaml.safe_load(
        subprocess.run([binary, "components"], capture_output=True, text=True, check=True).stdout
    )

    unknown = {
        f"{kind}/{component['name']}"
        for kind in KINDS
        for component in said[kind]
        if component["name"] not in components("contrib")[kind]
    }

    assert unknown == set()


def test_ports_and_folders_are_settings_with_these_defaults() -> None:
    defaults = env_defaults(CONFIG.read_text())

    assert (
        defaults.items()
        >= {
            "COLLECTOR_BIND": "127.0.0.1",
            "OTLP_GRPC_PORT": "4317",
            "OTLP_HTTP_PORT": "4318",
            "COLLECTOR_HEALTH_PORT": "13133",
            "COLLECTOR_METRICS_PORT": "8888",
            "COLLECTOR_ZPAGES_PORT": "55679",
            "TELEMETRY_DIR": ".run/telemetry",
            "QUEUE_DIR": ".run/queues",
        }.items()
    )


def test_defaults_in_comments_are_no_settings() -> None:
    text = "a: ${env:A:-1} # ${env:B:-2}\n# c: ${env:C:-3}\nd: x#${env:D:-4}${env:E:-}\n"

    assert env_defaults(text) == {"A": "1", "D": "4", "E": ""}


def test_two_defaults_for_one_name_are_refused_with_both_lines() -> None:
    with pytest.raises(StackError, match=r"A has two defaults.*'1' in line 1, '2' in line 3"):
        env_defaults("a: ${env:A:-1}\nb: 1\nc: ${env:A:-2}\n")


def test_each_exporter_has_a_pipeline_of_its_own_and_debug_none() -> None:
    pipelines = load_together(SHIPPED)["service"]["pipelines"]

    for signal in ("traces", "metrics", "logs"):
        assert pipelines[signal]["processors"][0] == "memory_limiter"
    for pipeline in pipelines.values():
        assert "debug" not in pipeline["exporters"]
        assert len(pipeline["exporters"]) == 1


def test_the_file_that_people_edit_is_short_and_holds_no_patterns() -> None:
    assert len(CONFIG.read_text().splitlines()) <= MOST_LINES
    assert not load(CONFIG)["processors"]["redaction"].keys() & {
        "blocked_key_patterns",
        "blocked_values",
    }


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_a_dollar_that_means_itself_is_doubled(file: Path) -> None:
    """The collector takes a single one for the beginning of a variable."""
    singles = re.findall(r"(?<!\$)\$(?![\$\{])[^$\s]*", re.sub(r"#.*", "", file.read_text()))

    assert singles == []


def _undefined_names(form: dict[str, dict[str, dict[str, dict[str, list[str]]]]]) -> list[str]:
    return [
        name
        for pipeline in form["service"]["pipelines"].values()
        for kind in ("receivers", "processors", "exporters")
        for name in pipeline.get(kind, [])
        if name not in form[kind]
    ]
