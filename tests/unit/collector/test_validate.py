"""A broken config is refused in one line that says what, where, and what was meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stack.collector_config.text import load
from stack.collector_config.validation import validate
from stack.errors import StackError
from tests.unit.collector.running import CONFIG, SHIPPED

pytestmark = pytest.mark.collector

BROKEN = [
    pytest.param(
        r"^  debug:$",
        "  otlp_htp/honeycomb:",
        r"this collector has no exporter of type otlp_htp \(of otlp_htp/honeycomb\)\W+"
        r"did you mean otlp_http\?",
        id="wrong exporter type",
    ),
    pytest.param(
        r"exporters: \[file/traces",
        "exporters: [file/tracs",
        r"pipeline traces/record uses exporter file/tracs, which is not defined under exporters\W+"
        r"did you mean file/traces\?",
        id="exporter not defined",
    ),
    pytest.param(
        r"processors: \[memory_limiter,",
        "processors: [memory_limitr,",
        r"uses processor memory_limitr, .* did you mean memory_limiter\?",
        id="processor not defined",
    ),
    pytest.param(
        r"extensions: \[health_check,",
        "extensions: [health_chek,",
        r"service\.extensions uses extension health_chek, .* did you mean health_check\?",
        id="extension not defined",
    ),
    pytest.param(
        r"max_backups: 3",
        "max_backup: 3",
        r"exporter file/traces knows no setting max_backup\b",
        id="unknown setting",
    ),
    pytest.param(
        r"max_backups: 3",
        "max_backups: three",
        r'"file/traces".*\'rotation\.max_backups\' expected type \'int\'',
        id="wrong type",
    ),
    pytest.param(
        r"^exporters:$",
        "exporter:",
        r"no section exporter\W+did you mean exporters\?",
        id="unknown section",
    ),
    pytest.param(r"^    verbosity:", "\tverbosity:", r"broken YAML, .*\\t", id="tab"),
    pytest.param(r"^  debug:", "   debug:", r"broken YAML", id="indentation"),
    pytest.param(r"^receivers:$", "receivers: [", r"broken YAML", id="bracket"),
    pytest.param(
        r"^  file/metrics:$",
        "  file/traces:",
        r"file/traces stands here a second time \(first in line \d+\)",
        id="defined twice",
    ),
    pytest.param(r"^    traces:", "    trace:", r"unknown pipeline signal", id="unknown signal"),
    pytest.param(
        r"exporters: \[file/traces[^\]]*\]",
        "exporters: []",
        r"traces/record: must have at least one exporter",
        id="nothing to export to",
    ),
]


@pytest.mark.parametrize(("pattern", "edit", "line"), BROKEN)
def test_one_line_names_the_fault_and_its_place(
    binary: Path, tmp_path: Path, pattern: str, edit: str, line: str
) -> None:
    sound = CONFIG.read_text()
    broken = tmp_path / "config.yaml"
    edited, edits = re.subn(pattern, edit, sound, count=1, flags=re.MULTILINE)
    assert edits == 1
    broken.write_text(edited)

    with pytest.raises(StackError) as refused:
        validate(binary, [broken, SHIPPED[1]], {})

    said = str(refused.value)
    assert "\n" not in said
    assert re.search(line, said), said
    place = re.match(rf"{re.escape(str(broken))}:(\d+): ", said)
    assert place, said
    first_changed = next(
        number
        for number, (old, new) in enumerate(
            zip(sound.splitlines(), edited.splitlines(), strict=False), start=1
        )
        if old != new
    )
    # YAML's own errors show where reading ended, which is a little further down.
    assert abs(int(place[1]) - first_changed) <= 6, said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param(
            "  memory_limiter:\n",
            "  resourcedetection: {}\n  memory_limiter:\n",
            r"of type resourcedetection; take it out; `make import FILE=\S+config.yaml`",
            id="of another distribution",
        ),
        pytest.param(
            "  debug:\n    verbosity: detailed\n",
            "  logging: {loglevel: debug}\n",
            r"config.yaml:\d+: there is no exporter of type logging any more; call it debug",
            id="of another time",
        ),
    ],
)
def test_what_published_configs_name_has_its_cure(
    binary: Path, tmp_path: Path, old: str, new: str, said: str
) -> None:
    config = tmp_path / "config.yaml"
    text = CONFIG.read_text()
    assert old in text
    config.write_text(text.replace(old, new))

    with pytest.raises(StackError, match=said):
        validate(binary, [config, SHIPPED[1]], {})


@pytest.mark.parametrize("text", ["", "just words", "- a\n- list\n", "# only a comment\n"])
def test_a_file_that_is_no_config_is_named(binary: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)

    with pytest.raises(StackError, match="holds no collector config"):
        validate(binary, [path], {})


def test_a_file_that_is_not_there_is_named(binary: Path, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"nowhere\.yaml cannot be read \(No such file"):
        validate(binary, [tmp_path / "nowhere.yaml"], {})


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"receivers: \xff\n")

    with pytest.raises(StackError, match="is not UTF-8 text"):
        load(path)


def test_the_config_as_it_stands_is_valid(binary: Path) -> None:
    validate(binary, SHIPPED, {})


def test_a_setting_that_cannot_be_is_found_through_the_environment(binary: Path) -> None:
    with pytest.raises(StackError, match=r"otel-config\.yaml:\d+: .*port' expected type 'int'"):
        validate(binary, SHIPPED, {"COLLECTOR_METRICS_PORT": "seventy"})


def test_a_collector_without_validate_is_held_against_adots_list(tmp_path: Path) -> None:
    """ADOT's command has no `validate`."""
    adot = tmp_path / "aws-otel-collector"
    adot.write_text("#!/bin/sh\necho 'Error: unknown command \"validate\"' >&2\nexit 1\n")
    adot.chmod(0o755)

    with pytest.raises(StackError, match="no processor of type redaction"):
        validate(adot, SHIPPED, {})


def test_a_collector_that_does_not_start_is_not_taken_for_a_bad_config(tmp_path: Path) -> None:
    with pytest.raises(
        StackError, match=r"the collector cannot check its config: .*cannot be started"
    ):
        validate(tmp_path / "nothing-there", SHIPPED, {})
