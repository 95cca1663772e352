"""What `make status` and `make doctor` say of dead letters, and what to do about them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from stack.commands import status
from stack.dead_letters import piles
from stack.doctor.collector import check_dead_letters
from stack.doctor.setup import Setup
from stack.replay import letters_folder, read_letters
from stack.services import Plan, make_plan
from stack.settings import ROOT, load_settings
from stack.vendors import vendors

DOTNET = (
    "the exporter panicked on it: runtime error: slice bounds out of range [5:4], in "
    "translator.fillDotnetStacktrace (cause.go:462)"
)
LOCAL_ROOT = (
    "the exporter panicked on it: runtime error: invalid memory address or nil pointer "
    "dereference, in translator.MakeServiceSegmentForLocalRootDependencySpan (segment.go:195)"
)
OTHER = "the exporter panicked on it: index out of range, in awsemf.somewhere (there.go:1)"


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return make_plan(load_settings(ROOT, {"RUN_DIR": str(tmp_path)}), ROOT, "native")


def write(
    plan: Plan, reason: str, *, exporter: str = "awsxray", service: str | None = None, ago: int = 0
) -> None:
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - ago))
    header = {
        "exporter": exporter,
        "signal": "traces",
        "items": 1,
        "refused": 1,
        "status": 0,
        "reason": reason,
        # As Go writes it.
        "at": f"{at}.123456789Z",
    }
    if service is not None:
        header["service"] = service
    folder = letters_folder(plan) / exporter.replace("/", "_")
    folder.mkdir(parents=True, exist_ok=True)
    number = len(list(folder.iterdir()))
    (folder / f"{number}-1-traces.letter").write_bytes(json.dumps(header).encode() + b"\n\n")


def test_letters_with_the_same_reason_are_told_together(plan: Plan) -> None:
    write(plan, "a segment of 70001 bytes", service="shop", ago=60)
    write(plan, "a segment of 80002 bytes", service="cart", ago=3600)
    write(plan, "X-Ray said InvalidSegment: no", ago=7200)

    large, invalid = piles(read_letters(letters_folder(plan)))

    assert (large.items, large.services, large.vendor) == (2, ("cart", "shop"), "xray")
    assert time.time() - large.last < 120
    assert (invalid.items, invalid.services) == (1, ())


def test_letters_of_before_have_no_service(plan: Plan) -> None:
    write(plan, "bad", exporter="otlp_http/honeycomb")

    [pile] = piles(read_letters(letters_folder(plan)))

    assert str(pile) == "1 spans: bad"
    assert pile.todo.startswith(
        "put right what the reason says, then `make replay VENDOR=honeycomb`"
    )


@pytest.mark.parametrize(
    ("reason", "todo"),
    [
        (DOTNET, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
        (LOCAL_ROOT, "aws.span.kind=LOCAL_ROOT"),
        (OTHER, "change it at the sender"),
    ],
)
def test_what_to_do_about_an_item_on_which_an_exporter_panics(
    plan: Plan, reason: str, todo: str
) -> None:
    write(plan, reason, service="shop")
    setup = Setup(plan.settings, plan, True, vendors(plan.settings, "127.0.0.1"))

    [finding] = check_dead_letters(setup)

    assert finding.verdict == "problem"
    assert finding.what.startswith("xray has not got 1 spans of shop: the exporter panicked on it")
    assert "`make replay` will not help" in finding.todo
    assert todo in finding.todo
    assert str(letters_folder(plan)) in finding.todo


def test_no_dead_letters_are_well(plan: Plan) -> None:
    setup = Setup(plan.settings, plan, True, vendors(plan.settings, "127.0.0.1"))

    [finding] = check_dead_letters(setup)

    assert (finding.verdict, finding.what) == ("ok", "none")


class NoRuntime:
    """Of which nothing runs."""

    @staticmethod
    def status(_plan: Plan) -> list[object]:
        return []

    @staticmethod
    def output(_plan: Plan, _service: str) -> list[str]:
        return []


def told(plan: Plan, monkeypatch: pytest.MonkeyPatch, *, as_json: bool) -> None:
    monkeypatch.setattr(status, "running_plan", lambda: plan)
    monkeypatch.setattr(status, "RUNTIMES", {plan.runtime: NoRuntime})
    monkeypatch.setattr(status, "_ledger", lambda _plan: ([], [], ""))
    status.run(as_json=as_json)


def test_status_tells_them_with_their_reason_and_age(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(plan, DOTNET, service="shop", ago=7300)

    told(plan, monkeypatch, as_json=False)

    printed = capsys.readouterr().out
    assert "xray dead letters, the last 2 h ago: 1 spans of shop: the exporter panicked" in printed


def test_status_as_json_has_them(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(plan, DOTNET, service="shop")

    told(plan, monkeypatch, as_json=True)

    [pile] = json.loads(capsys.readouterr().out)["dead_letters"]
    assert (pile["vendor"], pile["items"], pile["services"]) == ("xray", 1, ["shop"])
    assert pile["reason"] == DOTNET


def test_a_file_that_is_no_letter_does_not_end_status(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(plan, DOTNET)
    (letters_folder(plan) / "awsxray/1-1-traces.letter").write_text("{}\n")

    told(plan, monkeypatch, as_json=False)

    assert "is no dead letter" in capsys.readouterr().err


def test_what_moves_a_cursor_is_not_printed(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(plan, "bad \x1b[2J", service="\x1b]0;shop\x07")

    told(plan, monkeypatch, as_json=False)

    assert "1 spans of \ufffd]0;shop\ufffd: bad \ufffd[2J" in capsys.readouterr().out
