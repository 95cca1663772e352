"""Fragments read, asked for their keys and merged into a config that somebody wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from stack.errors import StackError
from stack.fragments import Fragment, check_keys, load, merge, required_keys, variables

BASE = """\
# Mine.
exporters:
  debug: # looks
    verbosity: basic

  # the last one
  otlp_http/a: {endpoint: "${env:A:-http://a}"}

service:
  extensions: [one, two] # both needed
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [debug]
"""

PART = """\
# The other vendor.
extensions:
  three: {}

exporters:
  # explains itself
  otlp_http/b:
    endpoint: ${env:B_ENDPOINT:-https://b}
    headers: {key: "${env:B_KEY}"}

service:
  extensions: [three]
  pipelines:
    traces/b:
      receivers: [otlp]
      exporters: [otlp_http/b]
"""


def fragment(text: str, name: str = "b") -> Fragment:
    return Fragment(name, f"collector/vendors/{name}.yaml", text, yaml.safe_load(text))


def test_the_parts_come_behind_those_of_the_base_and_comments_stay() -> None:
    # when
    merged = merge(BASE, [fragment(PART)])
    # then
    assert (
        merged
        == """\
# Mine.
exporters:
  debug: # looks
    verbosity: basic

  # the last one
  otlp_http/a: {endpoint: "${env:A:-http://a}"}

  # From collector/vendors/b.yaml
  otlp_http/b:
    endpoint: ${env:B_ENDPOINT:-https://b}
    headers: {key: "${env:B_KEY}"}

service:
  extensions: [one, two, three] # both needed
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [debug]

    # From collector/vendors/b.yaml
    traces/b:
      receivers: [otlp]
      exporters: [otlp_http/b]

# From collector/vendors/b.yaml
extensions:
  three: {}
"""
    )


def test_nothing_chosen_changes_nothing() -> None:
    assert merge(BASE, []) == BASE


@pytest.mark.parametrize(
    "base",
    [
        pytest.param(BASE.replace("[one, two] # both needed", "\n    - one\n    - two"), id="list"),
        pytest.param(BASE.replace("  extensions: [one, two] # both needed\n", ""), id="no list"),
        pytest.param(BASE.rstrip("\n"), id="no line end"),
        pytest.param(BASE.replace("\n", "\r\n"), id="Windows"),
        pytest.param(yaml.safe_dump(yaml.safe_load(BASE), indent=4), id="by four"),
        pytest.param(yaml.safe_dump(yaml.safe_load(BASE), default_flow_style=True), id="one line"),
        pytest.param(BASE.replace("basic", "&kept basic") + "      x: *kept\n", id="alias last"),
    ],
)
def test_however_the_base_is_written_the_meaning_is_the_same(base: str) -> None:
    # given
    plain = yaml.safe_load(base)
    # when
    merged = yaml.safe_load(merge(base, [fragment(PART)]))
    # then
    extensions = plain["service"].get("extensions", [])
    assert merged["service"]["extensions"] == [*extensions, "three"]
    assert merged["exporters"] == {
        **plain["exporters"],
        "otlp_http/b": yaml.safe_load(PART)["exporters"]["otlp_http/b"],
    }
    assert list(merged["service"]["pipelines"]) == ["traces", "traces/b"]


def test_an_anchor_of_a_fragment_does_not_reach_the_base() -> None:
    # given
    base = "a: &x {first: 1}\nb: {}\nc: *x\n"
    part = "b:\n  own: &x {second: 2}\n  again: *x\n"
    # when
    merged = yaml.safe_load(merge(base, [fragment(part)]))
    # then
    assert merged["c"] == {"first": 1}
    assert merged["b"] == {"own": {"second": 2}, "again": {"second": 2}}


def test_two_fragments_may_say_the_same() -> None:
    same = "processors:\n  cumulativetodelta:\n"

    merged = merge(BASE, [fragment(same, "b"), fragment(same, "c")])

    assert yaml.safe_load(merged)["processors"] == {"cumulativetodelta": None}


@pytest.mark.parametrize(
    ("others", "file"),
    [
        pytest.param([], "mine.yaml", id="with the base"),
        pytest.param(
            [fragment("exporters:\n  otlp_http/c: {endpoint: x}\n", "c")],
            "collector/vendors/c.yaml",
            id="with a fragment",
        ),
    ],
)
def test_a_clash_names_both_files_and_the_key(others: list[Fragment], file: str) -> None:
    # given
    name = "otlp_http/c" if others else "otlp_http/a"
    part = fragment(f"exporters:\n  {name}: {{endpoint: y}}\n")
    # when
    with pytest.raises(StackError) as refused:
        merge(BASE, [*others, part], "mine.yaml")
    # then
    assert refused.value.what.startswith(f"{file} and collector/vendors/b.yaml both set")
    assert f"exporters.{name}.endpoint" in refused.value.what


def test_another_list_than_the_extensions_is_not_added_to() -> None:
    part = fragment("service:\n  pipelines:\n    traces: {exporters: [otlp_http/a]}\n")

    with pytest.raises(StackError, match=r"service\.pipelines\.traces\.exporters"):
        merge(BASE, [part])


def test_variables_have_their_default_and_comments_have_none() -> None:
    # given
    part = fragment(
        '# ${env:NOT_THIS}\na: "${env:B_ENDPOINT:-https://b} ${env:EMPTY:-}"\n'
        'b: {c: ["x${env:B_KEY}", "$${env:NOR_THIS}"]}\n'
    )
    # then
    assert variables(part) == {"B_ENDPOINT": "https://b", "EMPTY": "", "B_KEY": None}
    assert required_keys(part) == ("B_KEY",)


@pytest.mark.parametrize(
    ("environment", "state"), [({}, "not set"), ({"B_KEY": ""}, "empty"), ({"B_KEY": " "}, "empty")]
)
def test_a_missing_key_is_named_with_the_file_that_needs_it(
    environment: dict[str, str], state: str
) -> None:
    with pytest.raises(StackError) as refused:
        check_keys([fragment(PART)], environment)

    assert refused.value.what == f"B_KEY is {state}; collector/vendors/b.yaml needs it"
    assert refused.value.todo == "put it in .env"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    # given
    part = fragment("tls: {ca_file: '${env:B_CA_FILE}'}\n")
    (tmp_path / "ca.pem").touch()
    # then
    check_keys([part], {"B_CA_FILE": "ca.pem"}, tmp_path)
    with pytest.raises(StackError, match=r"B_CA_FILE is cert\.pem, and there is no such file"):
        check_keys([part], {"B_CA_FILE": "cert.pem"}, tmp_path)


def test_an_unknown_name_gets_a_suggestion(tmp_path: Path) -> None:
    # given
    vendors = tmp_path / "collector/vendors"
    vendors.mkdir(parents=True)
    (vendors / "grafana-cloud.yaml").write_text(PART)
    # when
    with pytest.raises(StackError) as refused:
        load("Grafana", tmp_path)
    # then
    assert refused.value.todo == "did you mean grafana-cloud?"


def test_a_broken_fragment_is_named_with_its_line(tmp_path: Path) -> None:
    # given
    vendors = tmp_path / "collector/vendors"
    vendors.mkdir(parents=True)
    (vendors / "b.yaml").write_text("exporters:\n  a: [\n")
    # then
    with pytest.raises(StackError, match=r"vendors/b\.yaml:3: broken YAML"):
        load("b", tmp_path)
