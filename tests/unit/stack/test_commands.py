"""What commands may import, and what `clean`, `ports` and `restart` show."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from stack.commands import clean, ports
from stack.errors import StackError
from stack.settings import ROOT
from tests.ports import free_ports

SLOW = {"boto3", "botocore", "requests", "cryptography", "playwright", "rich.markdown"}
"""A tenth of a second to half a second each. `status` asks a stack that is up by requests."""

IMPORTED = """
import json, sys
from stack.cli import app_for
app_for(sys.argv[1] or None)
print(json.dumps([*sys.modules]))
"""


@pytest.mark.parametrize("command", ["", "status", "logs", "down", "traces"])
def test_a_command_that_waits_for_nothing_imports_nothing_slow(command: str) -> None:
    imports = [sys.executable, "-c", IMPORTED, command]
    done = subprocess.run(imports, cwd=ROOT, capture_output=True, text=True, check=True)
    imported = set(json.loads(done.stdout))
    assert "typer" in imported
    assert imported & SLOW == set()
    if not command:
        assert imported & {"stack.settings", "pydantic", "yaml"} == set()


def said(*words: str) -> subprocess.CompletedProcess[str]:
    stack = [sys.executable, "-m", "stack", *words]
    return subprocess.run(stack, cwd=ROOT, capture_output=True, text=True, check=False)


def test_help_names_the_settings_that_matter_and_the_version_is_one_line() -> None:
    shown = said("--help").stdout
    for name in ("WITH=", "RUNTIME=", "PORT_OFFSET=", "OTLP_ACCESS", ".env.example"):
        assert name in shown
    version = said("--version")
    assert version.stdout.startswith("otel-stack ")
    assert (version.returncode, version.stdout.count("\n")) == (0, 1)


def test_each_setting_and_page_that_the_help_names_is_there() -> None:
    shown = said("--help").stdout
    settings = (ROOT / ".env.example").read_text()
    words = {word.strip(",") for word in shown.partition("COMMAND")[2].split()}
    named = {
        name
        for name in (word.partition("=")[0] for word in words)
        if re.fullmatch("[A-Z_]{4,}", name)
    }
    named.discard("README")
    assert "WITH" in named
    assert [name for name in named if name not in settings] == []
    assert [page for page in words if page.endswith(".md") and not (ROOT / page).exists()] == []


def test_a_port_is_free_or_is_somebodys(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    [port] = free_ports(1)
    monkeypatch.setenv("RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("BACKEND_PORT", str(port))

    def shown() -> dict[str, object]:
        ports.run(as_json=True)
        listed = json.loads(capsys.readouterr().out)
        return next(one for one in listed if one["setting"] == "BACKEND_PORT")

    assert shown() == {
        "port": port,
        "setting": "BACKEND_PORT",
        "free": True,
        "ours": False,
        "program": None,
        "pid": None,
        "stack": None,
    }
    listen = (
        f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); print(); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-u", "-c", listen], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        other.stdout.readline()
        found = shown()
        other.communicate(b"\n")
    assert (found["free"], found["ours"], found["pid"]) == (False, False, other.pid)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which something was built and recorded."""
    for name in ("bin/otelcol", "queues/xray", "telemetry/traces.jsonl"):
        (tmp_path / ".run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / ".run" / name).write_text("x" * 200_000)
    (tmp_path / "kept").write_text("")
    monkeypatch.setattr(clean, "ROOT", tmp_path)
    return tmp_path


def test_clean_shows_what_goes_and_removes_that_alone(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean.run(yes=True)
    told = "".join(capsys.readouterr())
    assert "0.2 MB" in told
    assert "what vendors have not got yet" in told
    assert [path.name for path in clone.iterdir() if path.name != ".run"] == ["kept"]
    assert [*(clone / ".run").iterdir()] == []


def test_clean_removes_nothing_without_a_yes(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.confirm", lambda *_, **__: (_ for _ in ()).throw(typer.Abort))
    with pytest.raises(typer.Abort):
        clean.run()
    assert (clone / ".run/queues/xray").exists()


def test_clean_leaves_other_things_in_a_folder_that_run_dir_names(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = clone / "elsewhere"
    (elsewhere / "telemetry").mkdir(parents=True)
    (elsewhere / "thesis.txt").write_text("")
    monkeypatch.setenv("RUN_DIR", str(elsewhere))
    clean.run(yes=True)
    assert [path.name for path in elsewhere.iterdir()] == ["thesis.txt"]


def test_clean_touches_nothing_of_a_stack_that_runs(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a second one whose run folder is below this one's
    monkeypatch.setattr(clean, "run_folders", lambda: {clone / ".run/second"})
    with pytest.raises(StackError, match=r"a stack in .*second runs"):
        clean.run(yes=True)
    assert (clone / ".run/bin/otelcol").exists()
