"""What supervisor is told, and what it tells."""

from __future__ import annotations

import errno
import stat
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from xmlrpc.client import Fault

import pytest
from supervisor.options import ServerOptions
from supervisor.xmlrpc import Faults

from stack.applied_config import apply_config
from stack.collector_config.files import ConfigTexts
from stack.errors import StackError
from stack.runtimes import native, supervisor
from stack.services import Plan, Process
from stack.settings import Settings

ODD = 'a=b,c="d"; 100% of $HOME %(here)s \\ end'


def plan_of(folder: Path, environment: Mapping[str, str], argv: tuple[str, ...]) -> Plan:
    service = Process("service", argv, folder, environment, {"PORT": 1}, "http://127.0.0.1:1", 1)
    return Plan(
        root=folder,
        run_dir=folder / "run",
        project="test",
        runtime="native",
        settings=Settings(),
        environment={},
        processes=(service,),
        vendors=(),
        folders={"LOG_DIR": folder},
    )


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of(
        tmp_path, {"ODD": ODD, "QUOTE": "it's", "EMPTY": ""}, ("/bin/echo", "two words", "50%")
    )


def as_supervisor_reads_it(plan: Plan) -> ServerOptions:
    supervisor.write_config(plan)
    options = ServerOptions()
    options.realize(["--configuration", str(supervisor.config_file(plan))])
    return options


def test_words_and_values_reach_the_process_as_they_are(plan: Plan) -> None:
    # when
    options = as_supervisor_reads_it(plan)
    # then
    [process] = options.process_group_configs[0].process_configs
    assert process.environment == {"ODD": ODD, "QUOTE": "it's", "EMPTY": ""}
    assert process.command == '"/bin/echo" "two words" "50%"'


@pytest.mark.parametrize("value", ["both ' and \"", "'ends'", 'end"', "two\nlines", "a #b", "a ;b"])
def test_a_value_that_supervisor_would_change_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(StackError, match=r"^NAME cannot be handed to a process"):
        supervisor.write_config(plan_of(tmp_path, {"NAME": value}, ("/bin/true",)))


def test_only_its_owner_may_read_the_file_that_holds_keys(plan: Plan) -> None:
    # when
    supervisor.write_config(plan)
    # then
    assert stat.S_IMODE(supervisor.config_file(plan).stat().st_mode) == 0o600


def test_only_the_applied_collector_config_changes_what_supervisor_is_told(tmp_path: Path) -> None:
    # given
    plan = plan_of(tmp_path, {}, ("otelcol", "--config", "applied"))
    plan = replace(plan, processes=(replace(plan.processes[0], name="collector"),))
    apply_config(plan, ConfigTexts("a: 1\n", "b: 1\n"))
    before = supervisor.config_text(plan)
    assert supervisor.config_text(plan) == before
    # when
    for edited in (ConfigTexts("a: 2\n", "b: 1\n"), ConfigTexts("a: 1\n", "b: 2\n")):
        apply_config(plan, edited)
        # then: supervisor will restart the collector
        assert supervisor.config_text(plan) != before


def test_credentials_of_the_caller_are_not_passed_on(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "GITHUB_TOKEN", "OTEL_SERVICE_NAME", "LANG"):
        monkeypatch.setenv(name, "x")
    # when
    environment = supervisor.environment(plan)
    # then
    assert {"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "GITHUB_TOKEN", "OTEL_SERVICE_NAME"}.isdisjoint(
        environment
    )
    assert environment["LANG"] == "x"
    assert environment["OTEL_STACK_RUN_DIR"] == str(plan.run_dir)


def test_a_deep_run_folder_still_gets_a_socket_that_the_kernel_takes(plan: Plan) -> None:
    # given
    deep = replace(plan, run_dir=plan.run_dir / ("d" * 120))
    # then
    assert len(str(supervisor.socket(deep))) < 108
    assert supervisor.socket(deep) != supervisor.socket(
        replace(deep, run_dir=deep.run_dir / "other")
    )


def test_ends_that_nobody_asked_for_are_read_from_supervisors_log(tmp_path: Path) -> None:
    # given
    log = tmp_path / "supervisord.log"
    log.write_text(
        "2026-11-21 11:00:00,000 WARN exited: collector (terminated by SIGKILL; not expected)\n"
        "2026-11-21 11:00:01,000 INFO exited: backend-flask (exit status 0; expected)\n"
        "2026-11-21 11:00:02,000 WARN exited: collector (exit status 1; not expected)\n"
    )
    # then
    assert supervisor.ended(log) == {"collector": ["terminated by SIGKILL", "exit status 1"]}
    assert supervisor.ended(tmp_path / "none.log") == {}


def test_a_stack_that_never_ran_is_not_running_and_stops_in_silence(plan: Plan) -> None:
    assert not native.is_running(plan)
    assert native.status(plan) == []
    assert native.down(plan) is False


@pytest.mark.parametrize(
    ("code", "passes"), [(Faults.ALREADY_STARTED, True), (Faults.SPAWN_ERROR, False)]
)
def test_what_supervisor_starts_again_by_itself_is_no_error(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, code: int, passes: bool
) -> None:
    # given a service that has ended, and is started before it is asked for
    class Quicker:
        def getAllProcessInfo(self) -> list[dict[str, str]]:  # noqa: N802 - supervisor's name
            return [{"name": "service", "statename": "EXITED"}]

        def startProcess(self, name: str, _wait: bool) -> None:  # noqa: N802
            raise Fault(code, name)

    monkeypatch.setattr(supervisor, "rpc", lambda _plan: Quicker())
    # then
    with nullcontext() if passes else pytest.raises(Fault):
        native._restart_stopped(plan)


def test_a_stack_of_another_user_is_neither_down_nor_forgotten(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given: what a socket answers that belongs to root
    class Refused:
        def getState(self) -> None:  # noqa: N802 - supervisor's name
            raise PermissionError(errno.EACCES, "Permission denied")

    socket = supervisor.socket(plan)
    socket.parent.mkdir(parents=True, exist_ok=True)
    socket.touch()
    monkeypatch.setattr(supervisor, "rpc", lambda _plan: Refused())
    # then
    for ask in (native.is_running, native.status, native.down):
        with pytest.raises(StackError, match=r"another user started the stack in .*sudo make down"):
            ask(plan)
    assert socket.exists()
