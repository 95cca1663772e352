"""What `make status` prints of what others wrote."""

from __future__ import annotations

import io
import re
import time

import pytest
from rich.console import Console

from stack.commands.status import _lost, _recorded, _services
from stack.console import LONGEST, shown
from stack.runtimes.service import Service
from stack.telemetry import Lost, Recorded

HOSTILE = "\x1b]0;owned\x07\x1b[2J[red]api\x9b31m\r\n\u202e\x00"


def printed(renderable: object) -> str:
    terminal = io.StringIO()
    Console(file=terminal, width=200, force_terminal=False).print(renderable, soft_wrap=True)
    return terminal.getvalue()


@pytest.mark.parametrize(
    "renderable",
    [
        _recorded([Recorded(HOSTILE, 7, 0, 0, time.time())]),
        _lost(Lost(HOSTILE, HOSTILE, HOSTILE, 7, time.time())),
        _services(
            [Service("collector", running=False, state="EXITED", restarts=1, detail=HOSTILE)]
        ),
    ],
    ids=["spans of a service", "losses of a service", "how it ended"],
)
def test_a_terminal_gets_no_escape_sequence_that_a_sender_chose(renderable: object) -> None:
    said = printed(renderable)

    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said)
    assert "\ufffd]0;owned" in said
    # Neither is it markup.
    assert "[red]api" in said


def test_a_name_without_end_is_cut() -> None:
    assert len(shown("x" * 10_000)) == LONGEST + 1


def test_a_loss_says_when_it_was() -> None:
    lost = Lost("backend-flask", "traces", "away", 12, time.time() - 600)

    assert printed(_lost(lost)) == (
        "backend-flask lost 12 spans: the collector was away for too long; "
        "the last of them 10 min ago\n"
    )


def test_what_could_not_be_encoded_is_not_blamed_on_the_collector() -> None:
    said = printed(_lost(Lost("backend-flask", "logs", "unencodable", 1, time.time())))

    assert "1 log records: protobuf could not encode them" in said
    assert "collector" not in said
