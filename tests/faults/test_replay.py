"""Dead letters as `stack replay` sees them; that a vendor gets them again is in test_table.py."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stack import replay
from stack.errors import StackError
from stack.replay import OUTBOX, read_letters, send_again
from stack.waiting import wait_for

pytestmark = pytest.mark.only_native


def write(folder: Path, name: str, exporter: str, *, items: int = 10, refused: int = 10) -> Path:
    path = folder / exporter.replace("/", "_") / f"{name}-1-traces.letter"
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {
        "exporter": exporter,
        "signal": "traces",
        "items": items,
        "refused": refused,
        "status": 400,
        "reason": "bad",
        "at": "2026-11-21T12:00:00Z",
    }
    path.write_bytes(json.dumps(header).encode() + b"\n" + b"\x0a\x00\n")
    return path


def test_letters_come_oldest_first_with_their_vendor_and_data(tmp_path: Path) -> None:
    write(tmp_path, "2", "otlp_http/honeycomb")
    write(tmp_path, "1", "otlp_http/to_xray", refused=4)

    first, second = read_letters(tmp_path)

    assert (first.vendor, second.vendor) == ("xray", "honeycomb")
    assert (first.in_part, second.in_part) == (True, False)
    assert second.data == b"\x0a\x00\n"


def test_what_is_no_letter_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "1", "otlp_http/honeycomb")
    path.write_text("{}\n")

    with pytest.raises(StackError, match=r"1-1-traces\.letter is no dead letter"):
        read_letters(tmp_path)


def test_letters_are_handed_to_the_collector_and_gone_when_it_took_them(tmp_path: Path) -> None:
    write(tmp_path, "1", "otlp_http/honeycomb")
    [letter] = read_letters(tmp_path)
    waiting = letter.path.parent / OUTBOX / letter.path.name

    def take() -> bytes:
        wait_for("a letter to be handed over", waiting.exists, seconds=20)
        handed = waiting.read_bytes()
        # Whoever hands it over waits meanwhile.
        time.sleep(0.3)
        waiting.unlink()
        return handed

    with ThreadPoolExecutor(1) as collector:
        taken = collector.submit(take)

        send_again([letter])

        assert not waiting.exists()
        assert taken.result().endswith(b"\x0a\x00\n")
    assert read_letters(tmp_path) == []


def test_a_collector_that_takes_none_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "TAKEN_SECONDS", 0.2)
    write(tmp_path, "1", "otlp_http/honeycomb")

    with pytest.raises(StackError, match="has not taken 1 of 1 letters"):
        send_again(read_letters(tmp_path))
