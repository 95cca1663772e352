"""`make replay VENDOR=…`: a name that is no vendor's is told, also where nothing waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.applied_config import apply_config, wanted_config
from stack.commands import replay
from stack.errors import StackError
from stack.services import make_plan
from stack.settings import ROOT, load_settings


@pytest.fixture(autouse=True)
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack that is up, and whose vendors have refused nothing."""
    plan = make_plan(load_settings(ROOT, {"RUN_DIR": str(tmp_path)}), ROOT, "native")
    apply_config(plan, wanted_config(plan))
    monkeypatch.setattr(replay, "running_plan", lambda: plan)


@pytest.mark.parametrize(
    ("vendor", "todo"),
    [("foo", "it is one of cloudwatch, honeycomb, xray"), ("honycomb", "did you mean honeycomb?")],
)
def test_no_vendor_of_that_name(vendor: str, todo: str) -> None:
    with pytest.raises(StackError) as told:
        replay.run(vendor)

    assert str(told.value) == f"there is no vendor {vendor}; {todo}"


def test_a_vendor_that_refused_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    replay.run("honeycomb")

    assert "no dead letters of honeycomb to send" in capsys.readouterr().err
