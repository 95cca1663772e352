"""Programs end at their deadline, with their children, and say why they failed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from stack.program import ProgramError, run
from stack.waiting import DeadlineError, wait_for

# A shell starts background jobs with SIGINT ignored; these callers heed it all the same.
CALLER = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from stack.program import run; "
)
# Away from the pipes, and longer than its end is waited for.
PARENT = "sleep 600 >/dev/null 2>&1 & echo $! >{pid_file}; wait"


def test_what_it_printed_is_returned() -> None:
    assert run(["sh", "-c", "echo $GREETING; echo noise >&2"], seconds=60,
               environment={"GREETING": "hello"}) == "hello\n"  # fmt: skip


def test_a_failure_is_its_last_words() -> None:
    with pytest.raises(ProgramError) as failed:
        run(["sh", "-c", "echo first >&2; echo 'no space left' >&2; echo >&2; exit 3"], seconds=60)

    assert str(failed.value) == "sh -c ended with exit code 3: no space left"


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(ProgramError, match="no-such-program cannot be started"):
        run(["no-such-program"], seconds=60)


def test_with_a_log_both_outputs_are_in_it(tmp_path: Path) -> None:
    log = tmp_path / "log"

    with pytest.raises(ProgramError) as failed:
        run(["sh", "-c", "echo out; echo err >&2; exit 1"], seconds=60, log=log)

    assert log.read_text() == "out\nerr\n"
    assert failed.value.last_line == "err"


def test_at_the_deadline_the_children_end_too(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    # A busy machine may not get as far as the child within the first of them.
    for seconds in (0.5, 5, 20):
        with pytest.raises(ProgramError, match=f"took longer than {seconds} s"):
            run(["sh", "-c", PARENT.format(pid_file=pid_file)], seconds=seconds)
        if pid_file.exists() and pid_file.read_text():
            break

    assert_gone(int(pid_file.read_text()))


def test_an_interrupt_ends_the_children_too(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    command = ["sh", "-c", PARENT.format(pid_file=pid_file)]
    caller = subprocess.Popen(
        [sys.executable, "-c", f"{CALLER}run({command!r}, seconds=60)"],
        stderr=subprocess.DEVNULL,
    )
    wait_for("the child", lambda: pid_file.exists() and pid_file.read_text(), seconds=60)

    caller.send_signal(signal.SIGINT)
    caller.wait(timeout=60)

    assert_gone(int(pid_file.read_text()))


def test_a_step_that_must_not_be_cut_off_is_finished_first(tmp_path: Path) -> None:
    begun, done = tmp_path / "begun", tmp_path / "done"
    go_on = tmp_path / "go on"
    waits = f"while [ ! -e '{go_on}' ]; do sleep 0.01; done"
    # Once it may go on, the time in which it would be cut off.
    command = ["sh", "-c", f"touch {begun}; {waits}; sleep 0.3; touch {done}"]
    caller = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"{CALLER}run({command!r}, seconds=60, uninterrupted=True)",
        ],
        stderr=subprocess.DEVNULL,
    )
    wait_for("the step", begun.exists, seconds=60)

    os.kill(caller.pid, signal.SIGINT)
    go_on.touch()
    code = caller.wait(timeout=60)

    assert done.exists()
    assert code != 0


def assert_gone(pid: int) -> None:
    # Its parent is gone: whoever adopts it may take a moment to bury it.
    def over() -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    try:
        wait_for(f"the end of {pid}", over, seconds=60)
    except DeadlineError:
        os.kill(pid, signal.SIGKILL)
        raise
