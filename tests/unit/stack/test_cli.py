"""How a command ends: its exit code, and one line for what went wrong."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from typing import Annotated

import pytest
import typer

from stack import cli
from stack.errors import StackError
from stack.settings import ROOT
from stack.verify import Start

Ended = tuple[object, str]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Runs the command line with one command of our own; gives its exit code and what it said."""

    def run(body: Callable[[], None], *words: str) -> Ended:
        app = typer.Typer(pretty_exceptions_enable=False)
        app.command(name="try")(body)
        app.command(name="other")(lambda: None)
        monkeypatch.setattr(cli, "app_for", lambda _: app)
        monkeypatch.setattr("signal.signal", lambda *_: None)
        monkeypatch.setattr("sys.argv", ["stack", *(words or ("try",))])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, capsys.readouterr().err

    return run


def test_what_worked_ends_with_0(command: Callable[..., Ended]) -> None:
    assert command(lambda: None) == (0, "")


def test_a_stack_error_is_one_line_and_1(command: Callable[..., Ended]) -> None:
    def fails() -> None:
        raise StackError("the path [bold]/a b[/] is " + "far " * 60 + "away", "come closer")

    code, said = command(fails)
    assert code == 1
    assert said.strip().splitlines() == [
        "error: the path [bold]/a b[/] is " + "far " * 60 + "away; come closer"
    ]


@pytest.mark.parametrize(
    ("failed", "said"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "/x/.run/file"),
            "error: /x/.run/file: permission denied; after a `sudo make up`, `sudo chown",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "error: no space left on device; make room; `make doctor` says how much is free",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "/x/.run"),
            "error: /x/.run: read-only file system; set RUN_DIR to a folder that can be written",
        ),
    ],
)
def test_what_the_machine_refuses_is_one_line(
    command: Callable[..., Ended], failed: OSError, said: str
) -> None:
    def writes() -> None:
        raise failed

    code, line = command(writes)
    assert code == 1
    assert line.startswith(said)
    assert line.count("\n") == 1


def test_another_error_of_the_machines_shows_where_it_is(command: Callable[..., Ended]) -> None:
    def reads() -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "/x")

    with pytest.raises(FileNotFoundError):
        command(reads)


def test_an_exit_code_that_a_command_chose_is_kept(command: Callable[..., Ended]) -> None:
    def exits() -> None:
        raise typer.Exit(3)

    assert command(exits) == (3, "")


def test_an_interrupt_ends_with_130(command: Callable[..., Ended]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    code, said = command(interrupted)
    assert code == 130
    assert "Traceback" not in said


def takes(
    vendor: str,
    runs: Annotated[int, typer.Option(min=0)] = 0,
    start: Annotated[Start, typer.Option("--from")] = Start.APP,
) -> None:
    """Do what is given."""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tyr"], "no such command 'tyr'"),
        (["try"], "missing argument 'vendor'"),
        (["try", "a", "b"], "got unexpected extra argument(s) (b)"),
        (["try", "a", "--nope"], "no such option: --nope"),
        (
            ["try", "a", "--runs", "abc"],
            "invalid value for '--runs': Input should be a valid integer",
        ),
        (["try", "a", "--runs=-3"], "invalid value for '--runs': Input should be greater than"),
        (
            ["try", "a", "--from", "[foo]"],
            "invalid value for '--from': '[foo]' is not one of 'app'",
        ),
    ],
)
def test_a_wrong_word_is_one_line_that_says_which(
    command: Callable[..., Ended], words: list[str], told: str
) -> None:
    code, said = command(takes, *words)
    assert code == 2
    [line] = said.strip().splitlines()
    assert line.startswith(f"error: {told}")
    assert "; see `make help`" in line


def test_no_word_at_all_lists_the_commands_and_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["stack"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    shown = "".join(capsys.readouterr())
    assert ended.value.code == 2
    assert "Traceback" not in shown
    assert "verify" in shown


def test_a_bug_shows_where_it_is(command: Callable[..., Ended]) -> None:
    def bug() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command(bug)


def test_every_target_of_the_makefile_is_a_command() -> None:
    makefile = (ROOT / "Makefile").read_text()
    called = set(re.findall(r"@\$\(STACK\) ([a-z-]+)", makefile))
    assert called
    assert called <= {*cli.COMMANDS}
    assert {command.name for command in cli.app_for(None).registered_commands} == {*cli.COMMANDS}


def test_one_command_is_called_and_described_as_if_there_were_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["stack", "break", "--help"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert "stack break [OPTIONS]" in " ".join(capsys.readouterr().out.split())
