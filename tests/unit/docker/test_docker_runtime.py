"""What the Docker runtime does around Compose: refusing, cleaning up, telling the state."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stack import engine
from stack.collector_config.files import ConfigTexts
from stack.engine import Engine
from stack.errors import StackError
from stack.runtimes import compose, containers, docker
from stack.runtimes.service import Service
from stack.services import Plan, make_plan
from stack.settings import load_settings

Client = Callable[..., Path]

ROOT = Path(__file__).resolve().parents[3]
HERE = Engine("unix:///var/run/docker.sock", "20.10.24", "2.26.1", "0.13.1")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    settings = load_settings(ROOT, {"RUN_DIR": str(tmp_path), "PROJECT": "unit"})
    return make_plan(settings, ROOT, "docker")


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The engine and Compose replaced by a list of what was asked of them."""
    asked: list[str] = []

    monkeypatch.setattr(docker, "require_engine", lambda: HERE)
    monkeypatch.setattr(docker, "find_engine", lambda: HERE)
    monkeypatch.setattr(docker, "is_running", lambda _plan: False)
    monkeypatch.setattr(docker, "check_free", lambda _ports: None)
    monkeypatch.setattr(docker, "prepare", lambda *_: {"collector": "example/collector:1"})
    monkeypatch.setattr(docker, "_checked_config", lambda *_: ConfigTexts("receivers: {}\n"))
    monkeypatch.setattr(docker, "containers_of", lambda *_: [])
    monkeypatch.setattr(docker, "other_folder", lambda _plan: None)
    monkeypatch.setattr(docker, "compose", lambda _plan, *words, **_: asked.append(words[0]))
    monkeypatch.setattr(docker, "wait_healthy", lambda *_: None)
    return asked


def container(name: str, **state: Any) -> dict[str, Any]:
    return {
        "Id": "0123",
        "RestartCount": state.pop("restarts", 0),
        "Config": {"Labels": {"com.docker.compose.service": name}},
        "State": {
            "Status": "running",
            "ExitCode": 0,
            "OOMKilled": False,
            "StartedAt": "2026-11-21T11:30:00.123456789Z",
            **state,
        },
    }


@pytest.mark.parametrize(
    "step", ["check_free", "prepare", "_checked_config", "_compose_up", "wait_healthy"]
)
@pytest.mark.parametrize("reason", [StackError("no"), KeyboardInterrupt()])
def test_up_that_ends_early_leaves_nothing(
    plan: Plan,
    events: list[str],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    reason: BaseException,
) -> None:
    def fail(*_: object) -> None:
        raise reason

    monkeypatch.setattr(docker, step, fail)

    with pytest.raises(type(reason)):
        docker.up(plan)

    assert events[-1:] == ["down"]


def test_up_that_fails_beside_a_running_stack_leaves_that_running(
    plan: Plan, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StackError("the collector's config is broken")

    monkeypatch.setattr(docker, "is_running", lambda _plan: True)
    monkeypatch.setattr(docker, "prepare", refuse)

    with pytest.raises(StackError):
        docker.up(plan)

    assert events == []


def test_an_engine_elsewhere_is_refused(
    plan: Plan, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = replace(HERE, host="tcp://build.example:2376")
    monkeypatch.setattr(docker, "require_engine", engine.require_engine)
    monkeypatch.setattr(engine, "find_engine", lambda: remote)

    with pytest.raises(StackError, match=r"tcp://build\.example:2376 does not see this machine"):
        docker.up(plan)

    assert "up" not in events


def test_down_without_an_engine_is_harmless(
    plan: Plan, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "find_engine", lambda: None)

    assert docker.down(plan) is False
    assert events == []


def test_down_leaves_no_key_behind(plan: Plan, events: list[str]) -> None:
    # given what the containers were given
    for name in ("compose/collector.env", "secrets/server/token", "secrets/client/token"):
        file = plan.run_dir / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("a key")
    # when
    docker.down(plan)
    # then
    assert "down" in events
    assert [path for path in plan.run_dir.rglob("*") if path.is_file()] == []


def test_down_removes_images_of_this_project_that_have_no_name_any_more(
    plan: Plan, events: list[str], docker_client: Client, tmp_path: Path
) -> None:
    ours = f"--filter=label=com.docker.compose.project={plan.project}"
    docker_client({f"image prune --force {ours}": f"touch {tmp_path / 'pruned'}"})
    docker.down(plan)
    assert "down" in events
    assert (tmp_path / "pruned").exists()


def test_another_clones_containers_are_refused_and_left_alone(
    plan: Plan, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """PROJECT in `.env` can give two clones one name, and by it alone Compose knows a stack."""
    monkeypatch.setattr(docker, "other_folder", lambda _plan: Path("/home/me/other"))

    with pytest.raises(StackError) as refused:
        docker.up(plan)
    docker.down(plan)

    assert str(refused.value) == (
        "the containers of the project unit are those of /home/me/other; `make down` there, or "
        "take PROJECT out of .env here"
    )
    assert not {"up", "down"} & {*events}


def test_what_containers_printed_is_kept_when_they_are_removed(
    plan: Plan,
    events: list[str],
    docker_client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given
    found = [container("collector")]
    docker_client(
        {
            "ps": "echo 0123",
            "inspect": f"echo '{json.dumps(found)}'",
            "logs --tail=5000 0123": "echo its last words",
        }
    )
    monkeypatch.setattr(docker, "containers_of", lambda *_: found)
    # when
    docker.down(plan)
    # then
    assert "down" in events
    assert (plan.folders["LOG_DIR"] / "collector.log").read_text() == "its last words\n"


def test_status_tells_of_each_service_what_docker_knows(plan: Plan, docker_client: Client) -> None:
    found = [
        container("collector", restarts=2),
        container("backend-flask", Status="exited", ExitCode=137, OOMKilled=True),
    ]
    docker_client({"ps": "echo 0123", "inspect": f"echo '{json.dumps(found)}'"})

    told = {service.name: service for service in docker.status(plan)}
    again = "runs again since 2026-11-21T11:30:00Z"
    assert told["collector"] == Service("collector", True, "running", 2, again)
    assert told["profiles-flask"] == Service("profiles-flask", False, "missing", 0)
    ended = Service("backend-flask", False, "exited", 0, "out of memory")
    assert told["backend-flask"] == ended


def test_a_service_that_its_health_check_finds_ill_does_not_run(
    plan: Plan, docker_client: Client
) -> None:
    ill = container("collector", Health={"Status": "unhealthy"})
    docker_client({"ps": "echo 0123", "inspect": f"echo '{json.dumps([ill])}'"})

    assert Service("collector", False, "unhealthy", 0) in docker.status(plan)


def test_nothing_runs_where_there_is_no_engine(plan: Plan, docker_client: Client) -> None:
    docker_client({"ps": 'echo "Cannot connect" >&2; exit 1'})

    assert docker.is_running(plan) is False
    assert docker.status(plan) == []


def test_a_service_that_ends_while_it_starts_is_one_line_with_its_last_words(
    plan: Plan, docker_client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = container("collector", Status="restarting", ExitCode=1)
    docker_client(
        {
            "ps": "echo 0123",
            "inspect": f"echo '{json.dumps([ended])}'",
            # The first line would clear the terminal.
            "logs --tail=5000 0123": "printf 'start\\033[2Jing\\n'; "
            "echo bind: address already in use >&2",
        }
    )

    with pytest.raises(StackError) as failed:
        containers.wait_healthy(plan, plan.process("collector"))

    log = plan.folders["LOG_DIR"] / "collector.log"
    assert str(failed.value) == (
        "collector ended with exit code 1 while it was starting: bind: address already in use; "
        f"its log is {log}"
    )
    assert log.read_text() == "start\x1b[2Jing\nbind: address already in use\n"
    assert capsys.readouterr().err == (
        "  the last lines of collector:\n    start\ufffd[2Jing\n    bind: address already in use\n"
    )


@pytest.mark.parametrize(
    ("uid", "rootless", "user"),
    [(0, False, "10001:10001"), (0, True, "0:0"), (501, False, "501:20")],
)
def test_containers_run_as_the_caller_and_never_as_root_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, uid: int, rootless: bool, user: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(os, "getegid", lambda: 20)

    assert compose.user_of(replace(HERE, rootless=rootless)) == user
