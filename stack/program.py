"""Other programs, run with a deadline and stopped as a whole."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from stack.side_by_side import GRACE_SECONDS, known_to_stop


class ProgramError(Exception):
    """A program that failed, was not there, or took longer than it may.

    `output` is what it wrote to standard error, and to standard output where that was not kept
    apart; else `standard_output` has that.
    """

    def __init__(
        self, argv: Sequence[str], reason: str, output: str, standard_output: str = ""
    ) -> None:
        self.program = " ".join(argv[:2])
        self.reason = reason
        self.output = output
        self.standard_output = standard_output
        last = self.last_line
        super().__init__(f"{self.program} {reason}" + (f": {last}" if last else ""))

    @property
    def last_line(self) -> str:
        """The last line that says something; empty when there is none."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else ""


def run(
    argv: Sequence[str],
    *,
    seconds: float,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    log: Path | None = None,
    each: Callable[[str], None] | None = None,
    uninterrupted: bool = False,
) -> str:
    """Run `argv` and return its standard output; with `log`, both outputs are written there, with
    `each` they are returned as one, and it is called with every line as it comes.

    `environment` is added to this process's own. The program gets a process group of its own,
    and the whole group is ended at the deadline or when this process is interrupted. With
    `uninterrupted` an interrupt is held back until the program has ended: for a step that would
    leave the machine half changed.

    Raises ProgramError when it cannot be started, fails, or runs longer than `seconds`.
    """
    stream = log.open("w+b") if log else None

    def start() -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=stream or subprocess.PIPE,
                stderr=stream or (subprocess.STDOUT if each else subprocess.PIPE),
                env={**os.environ, **(environment or {})},
                cwd=cwd,
                # A group of its own: `docker build` and apt-get have children that outlive them.
                start_new_session=True,
            )
        except OSError as failed:
            raise ProgramError(argv, f"cannot be started ({failed.strerror})", "") from None
        finally:
            if stream:
                stream.close()

    with ExitStack() as stack:
        with _interrupts_held_back() as interrupts:
            process = stack.enter_context(known_to_stop(start))
        out, err = _finish(
            process, argv, seconds, interrupts, log=log, each=each, uninterrupted=uninterrupted
        )
    if process.returncode != 0:
        ended = f"ended with exit code {process.returncode}"
        raise ProgramError(argv, ended, out if each else _said(log, err), out)
    return out


@contextmanager
def _interrupts_held_back() -> Iterator[list[int]]:
    """Collect the signals that would raise here; the caller raises them again.

    Between the fork and the return of Popen nobody knows the program yet, so that an interrupt
    would leave it running (seen on a machine under load).
    """
    came: list[int] = []
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if callable(signal.getsignal(number)):
                handlers[number] = signal.signal(number, lambda n, _frame: came.append(n))
    try:
        yield came
    finally:
        for held, handler in handlers.items():
            signal.signal(held, handler)


def _finish(
    process: subprocess.Popen[bytes],
    argv: Sequence[str],
    seconds: float,
    interrupts: Sequence[int],
    *,
    log: Path | None,
    each: Callable[[str], None] | None,
    uninterrupted: bool,
) -> tuple[str, str]:
    try:
        for number in interrupts:
            signal.raise_signal(number)
        if each:
            out, err = _hand_on(process, each, seconds), None
        else:
            out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        late = end_group(process)
        raise ProgramError(argv, f"took longer than {seconds:g} s", _said(log, late)) from None
    except KeyboardInterrupt:
        if uninterrupted:
            process.communicate(timeout=seconds)
        else:
            end_group(process)
        raise
    except BaseException:
        end_group(process)
        raise
    return (out or b"").decode(errors="replace"), (err or b"").decode(errors="replace")


def _hand_on(
    process: subprocess.Popen[bytes], each: Callable[[str], None], seconds: float
) -> bytes:
    """Call `each` with every line; returns all. Raises TimeoutExpired."""
    deadline = time.monotonic() + seconds
    late = threading.Timer(seconds, _signal_group, (process, signal.SIGKILL))
    late.start()
    lines = []
    try:
        for line in process.stdout or ():
            lines.append(line)
            each(line.decode(errors="replace").rstrip())
        process.wait()
    finally:
        late.cancel()
    if process.returncode == -signal.SIGKILL and time.monotonic() >= deadline:
        raise subprocess.TimeoutExpired(process.args, seconds)
    return b"".join(lines)


def end_group(process: subprocess.Popen[bytes]) -> str:
    """End a program that leads its process group, and its children.

    Returns what it had written to standard error.
    """
    _signal_group(process, signal.SIGTERM)
    try:
        _, err = process.communicate(timeout=GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        _signal_group(process, signal.SIGKILL)
        _, err = process.communicate()
    return (err or b"").decode(errors="replace")


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _said(log: Path | None, err: str) -> str:
    return log.read_text(errors="replace") if log else err
