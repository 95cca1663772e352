"""What GitHub runs: pinned, with few rights, and only what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from stack.errors import StackError
from stack.settings import ROOT
from tools.checks import lint_workflows

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
EACH = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)


@EACH
def test_each_action_is_pinned_by_its_commit_and_says_which_version_that_is(workflow: Path) -> None:
    used = re.findall(r"uses: (.*)", workflow.read_text())
    assert used
    for one in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one), one


@EACH
def test_a_job_may_only_read_unless_it_says_otherwise(workflow: Path) -> None:
    loaded = yaml.safe_load(workflow.read_text())
    assert loaded["permissions"] == {"contents": "read"}
    more = {job for job, what in loaded["jobs"].items() if "permissions" in what}
    assert workflow.stem == "release" or not more


@EACH
def test_each_target_that_a_workflow_makes_is_there(workflow: Path) -> None:
    text = workflow.read_text()
    targets = set(re.findall(r"^\s+(?:- run: )?make ([a-z-]+)", text, re.MULTILINE))
    for matrix in re.findall(r"target: \[(.*)\]", text):
        targets |= {words.split()[0] for words in matrix.split(",")}
    makefile = (ROOT / "Makefile").read_text()
    assert targets
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_an_image_of_each_service_is_released() -> None:
    release = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    composed = yaml.safe_load((ROOT / "compose/compose.yaml").read_text())
    built = {name for name, service in composed["services"].items() if "build" in service}
    assert set(release["jobs"]["image"]["strategy"]["matrix"]["service"]) == built


def test_a_workflow_that_github_would_refuse_is_an_error(tmp_path: Path) -> None:
    lint_workflows(ROOT)
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    (folder / "bad.yml").write_text("on: push\njobs: {one: {runs-on: ubuntu-24.04}}\n")
    (tmp_path / ".git").mkdir()
    with pytest.raises(StackError, match='"steps" section is missing'):
        lint_workflows(tmp_path)
