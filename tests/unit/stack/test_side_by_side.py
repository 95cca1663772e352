"""Parts that run at the same time: all of them, or none is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import psutil
import pytest

from stack.errors import StackError
from stack.locking import only_one
from stack.program import run
from stack.settings import ROOT
from stack.side_by_side import side_by_side
from stack.waiting import wait_for

# A program with a child, as npm and go are.
PARENT = "sleep 600 & echo $! > {pid_file}.new; mv {pid_file}.new {pid_file}; wait"


def _child(pid_file: Path) -> psutil.Process:
    wait_for("the child", pid_file.exists, seconds=60)
    return psutil.Process(int(pid_file.read_text()))


def _gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_each_part_runs_while_the_others_do() -> None:
    together = threading.Barrier(3, timeout=60)

    side_by_side(together.wait, together.wait, together.wait)


def test_one_that_fails_ends_the_programs_of_the_others(tmp_path: Path) -> None:
    # given
    pid_file = tmp_path / "pid"
    cleaned = threading.Event()
    begun: list[psutil.Process] = []

    def builds() -> None:
        try:
            run(["sh", "-c", PARENT.format(pid_file=pid_file)], seconds=600)
        finally:
            cleaned.set()
        pytest.fail("it went on")

    def fails() -> None:
        begun.append(_child(pid_file))
        raise StackError("there is no index")

    # when
    with pytest.raises(StackError, match=r"^there is no index$"):
        side_by_side(builds, fails)
    # then
    assert cleaned.is_set()
    wait_for("the child's end", lambda: _gone(begun[0]), seconds=60)


def test_one_that_fails_ends_the_others_wait_for_a_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"

    def waits() -> None:
        with only_one(lock):
            pytest.fail("somebody else holds it")

    def fails() -> None:
        raise StackError("there is no index")

    with only_one(lock), pytest.raises(StackError, match="there is no index"):
        side_by_side(waits, fails)


def test_after_a_failure_no_program_begins(tmp_path: Path) -> None:
    failed = threading.Event()

    def goes_on() -> None:
        failed.wait(60)
        for _ in range(1000):
            run(["true"], seconds=60)
        (tmp_path / "went on").touch()

    def fails() -> None:
        failed.set()
        raise StackError("there is no index")

    with pytest.raises(StackError, match="there is no index"):
        side_by_side(goes_on, fails)
    assert not (tmp_path / "went on").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_all_of_them(tmp_path: Path, number: signal.Signals) -> None:
    # given
    first, second = tmp_path / "first", tmp_path / "second"
    commands = [["sh", "-c", PARENT.format(pid_file=file)] for file in (first, second)]
    program = (
        "import signal; from functools import partial; from stack.program import run; "
        "from stack.side_by_side import side_by_side; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "signal.signal(signal.SIGTERM, signal.default_int_handler); "
        f"side_by_side(*(partial(run, one, seconds=600) for one in {commands!r}))"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    children = [_child(file) for file in (first, second)]
    # when
    os.kill(caller.pid, number)
    _, said = caller.communicate(timeout=60)
    # then
    assert said.strip().splitlines()[-1] == "KeyboardInterrupt"
    for child in children:
        wait_for(f"the end of {child}", partial(_gone, child), seconds=60)
