"""The reader of CloudFormation: what it resolves, and that it never guesses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stack.cfn import load_resources
from stack.errors import StackError


def properties(tmp_path: Path, text: str, **parameters: Any) -> dict[str, Any]:
    path = tmp_path / "template.yaml"
    head = "Parameters:\n  Name: {Type: String, Default: first}\n  Empty: {Type: String}\n"
    conditions = (
        "Conditions:\n  Second: !Equals [!Ref Name, second]\n"
        "  First: !Not [!Equals [!Ref Name, second]]\n"
    )
    path.write_text(f"{head}{conditions}Resources:\n{text}")
    loaded = load_resources(path, parameters, "cn-north-1", "1")
    return {each.logical_id: each.properties for each in loaded}


GROUP = "  G: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Sub 'g-${Name}'}}\n"


def test_references_lead_to_parameters_and_to_the_names_of_resources(tmp_path: Path) -> None:
    text = GROUP + "  F: {Type: T, Properties: {a: !Ref G, b: [!Ref Name], c: !Sub '${G}!'}}"
    assert properties(tmp_path, text)["F"] == {"a": "g-first", "b": ["first"], "c": "g-first!"}
    assert properties(tmp_path, text, Name="x")["F"]["a"] == "g-x"


def test_a_text_may_have_values_of_its_own(tmp_path: Path) -> None:
    text = "  F: {Type: T, Properties: {a: !Sub ['${Name} ${x}', {x: !If [Second, 1, 2]}]}}"
    assert properties(tmp_path, text)["F"] == {"a": "first 2"}
    assert properties(tmp_path, text, Name="second")["F"] == {"a": "second 1"}


def test_pseudo_parameters_are_those_of_the_region(tmp_path: Path) -> None:
    text = "  F: {Type: T, Properties: {a: !Sub '${AWS::Partition}:${AWS::Region}'}}"
    assert properties(tmp_path, text)["F"] == {"a": "aws-cn:cn-north-1"}


def test_no_value_takes_the_key_away(tmp_path: Path) -> None:
    text = "  F: {Type: T, Properties: {a: !If [Second, 1, !Ref 'AWS::NoValue'], b: 2}}"
    assert properties(tmp_path, text)["F"] == {"b": 2}
    assert properties(tmp_path, text, Name="second")["F"] == {"a": 1, "b": 2}


def test_a_condition_leaves_a_resource_out(tmp_path: Path) -> None:
    text = "  F: {Type: T, Condition: Second}\n  H: {Type: T, Condition: First}"
    assert list(properties(tmp_path, text)) == ["H"]
    assert list(properties(tmp_path, text, Name="second")) == ["F"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("  F: {Type: T, Properties: {a: !GetAtt G.Arn}}", "!GetAtt"),
        ("  F: {Type: T, Properties: {a: !Ref Nobody}}", "!Ref Nobody"),
        ("  F: {Type: T, Properties: {a: !Ref Empty}}", "Empty has no value"),
        ("  F: [", "not YAML"),
    ],
)
def test_what_it_does_not_know_is_told_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(StackError) as error:
        properties(tmp_path, text)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_parameter_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"no parameter Nmae.*Name"):
        properties(tmp_path, GROUP, Nmae="x")
