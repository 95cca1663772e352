"""The compose file: what it promises of every service, and that both runtimes read the same."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulators.registry import load_settings as load_emulators
from stack.applied_config import apply_config, wanted_config
from stack.collector_config.text import CONFIG_FILE, env_defaults, go_memory_limit, load
from stack.compose_file import COMPOSE_FILE, defaults_of, interpolate, load_services
from stack.engine import Engine
from stack.env_file import EXAMPLE_FILE
from stack.errors import StackError
from stack.runtimes import compose
from stack.services import PAGE, Plan, make_plan
from stack.settings import ROOT, load_settings
from tests.unit.compose_cli import need_compose

TEXT = (ROOT / COMPOSE_FILE).read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
ENGINE = Engine("unix:///var/run/docker.sock", "20.10.24", "2.26.1", "0.13.1")
LIVE = {
    "HONEYCOMB_API_KEY": "hcaik_" + "0123456789" * 5 + "01234567",
    "ROLLBAR_ACCESS_TOKEN": "0123456789abcdef" * 2,
    "ROLLBAR_CLIENT_TOKEN": "fedcba9876543210" * 2,
    "AWS_TELEMETRY": "live",
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
}


@pytest.fixture(autouse=True)
def _no_settings_of_this_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stack.settings.ENV_FILE", "absent.env")


def planned(folder: Path, runtime: str, **env: str) -> Plan:
    return make_plan(
        load_settings(ROOT, {"RUN_DIR": str(folder), "PAGE": "on", **env}), ROOT, runtime
    )


def by_make(plan: Plan) -> dict[str, Any]:
    """The services as Compose understands what `make up` tells it. Needs no engine."""
    need_compose()
    apply_config(plan, wanted_config(plan))
    variables = compose.compose_variables(plan, ENGINE)
    shown = compose.compose(plan, "config", "--format=json", seconds=60, variables=variables)
    found: dict[str, Any] = json.loads(shown)["services"]
    return found


def by_hand(folder: Path, *lines: str) -> dict[str, Any]:
    """The services as `docker compose up` has them in a clone with these lines in `.env`."""
    need_compose()
    for name in ("compose", "services", "emulators", "collector"):
        (folder / name).mkdir(parents=True)
    shutil.copytree(ROOT / "compose", folder / "compose", dirs_exist_ok=True)
    for file in (ROOT / "services").rglob("otel.env"):
        target = folder / file.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, target)
    shutil.copyfile(ROOT / "compose.yaml", folder / "compose.yaml")
    (folder / ".env").write_text("".join(f"{line}\n" for line in lines))
    shown = subprocess.run(
        ["docker", "compose", "config", "--format=json"],
        cwd=folder,
        env={name: os.environ[name] for name in ("PATH", "HOME")},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    found: dict[str, Any] = json.loads(shown.stdout)["services"]
    return found


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["ulimits"]["core"] == 0
    assert "CONTAINER_USER" in service["user"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["logging"]["options"].get("max-size")
    assert not service.get("privileged")


def test_the_collector_may_open_as_many_files_as_idle_connections_are_tested() -> None:
    assert SERVICES["collector"]["ulimits"]["nofile"] > 10_000


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_on_loopback(name: str) -> None:
    """The collector's two of OTLP are where `make up` says, once it knows who is asked."""
    for port in SERVICES[name]["ports"]:
        match = re.fullmatch(r"(.+):\$\{(\w+):-\d+\}:.+", port)
        assert match, port
        address, variable = match.groups()
        assert address == "127.0.0.1" or (
            address == "${OTLP_ADDRESS:-127.0.0.1}"
            and variable in {"OTLP_GRPC_PORT", "OTLP_HTTP_PORT"}
        ), port


def test_keys_are_only_for_the_caller_to_read(tmp_path: Path) -> None:
    files = [*compose.write_environment(planned(tmp_path, "docker")).iterdir()]

    assert files
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_the_docker_client_cannot_add_to_the_resource() -> None:
    # It sets OTEL_RESOURCE_ATTRIBUTES for its plugins, with an attribute of its own.
    assert "${OTEL_RESOURCE_ATTRIBUTES" not in TEXT


def test_nobody_waits_for_the_collector_to_be_healthy() -> None:
    # The application serves without it; the dependency is there for the order of the stop.
    for service in SERVICES.values():
        for wait in service.get("depends_on", {}).values():
            assert wait["condition"] == "service_started"


@pytest.mark.parametrize("env", [{}, {"PORT_OFFSET": "100"}, LIVE], ids=["plain", "moved", "live"])
def test_both_runtimes_make_the_same_of_the_file(tmp_path: Path, env: dict[str, str]) -> None:
    # given what Compose makes of it, and what the stack does
    plan = planned(tmp_path, "docker", **env)
    services = by_make(plan)
    own = {"COLLECTOR_CONFIG_SHA256"}
    # then
    assert services.keys() == {process.name for process in plan.processes}
    for process in plan.processes:
        service = services[process.name]
        given = {n: v.replace("$$", "$") for n, v in service["environment"].items() if n not in own}
        assert given == {n: v for n, v in process.environment.items() if n not in own}
        assert tuple(service["command"]) == process.argv
        published = {int(port["published"]): port["target"] for port in service["ports"]}
        assert published == process.targets
        assert {*published} == {*process.ports.values()}
        assert {port["host_ip"] for port in service["ports"]} == {"127.0.0.1"}
        assert service.get("depends_on", {}).keys() <= {*process.depends_on}
        asked = service["healthcheck"]["test"][-1]
        for outside, inside in published.items():
            asked = asked.replace(f":{inside}/", f":{outside}/")
        assert asked == process.health


@pytest.mark.parametrize("env", [{}, {"PORT_OFFSET": "100"}, LIVE], ids=["plain", "moved", "live"])
def test_a_process_has_the_variables_of_a_container_with_this_machines_places(
    tmp_path: Path, env: dict[str, str]
) -> None:
    docker, native = (planned(tmp_path, runtime, **env) for runtime in ("docker", "native"))

    for container in docker.processes:
        process = native.process(container.name)
        python = {"PATH", "PYTHONUNBUFFERED"} if process.python else set()
        assert process.environment.keys() - python == container.environment.keys()
        assert process.health == container.health
        assert process.ports.items() >= container.ports.items()
        told = " ".join((*process.argv, *process.environment.values()))
        names = "|".join(one.name for one in docker.processes)
        assert not re.search(rf"(?<![\w-])({names}|0\.0\.0\.0):\d|/var/lib|/etc/otel|=/page", told)


@pytest.mark.parametrize("env", [{}, LIVE], ids=["emulated", "live"])
def test_by_hand_a_vendor_is_live_by_the_same_keys(tmp_path: Path, env: dict[str, str]) -> None:
    """What only the command knows is left out by hand, and nothing is otherwise."""
    made = by_make(planned(tmp_path / "run", "docker", DEPLOYMENT_ENVIRONMENT="test", **env))
    lines = (f"{name}={value}" for name, value in env.items())
    hand = by_hand(tmp_path / "clone", "DEPLOYMENT_ENVIRONMENT=test", *lines)

    for name, service in made.items():
        given, other = (
            {key: value for key, value in one["environment"].items() if value is not None}
            for one in (service, hand[name])
        )
        only_made = {*given} - {*other}
        only_commands = {"COLLECTOR_URL", "LOG_ROUTE", "OTEL_TRACES_SAMPLER"}
        # A port has its default inside.
        assert {key for key in only_made if not key.endswith("_PORT")} <= only_commands
        differing = {key for key in other if given.get(key) != other[key]}
        # The version is git's, the other one of the file that is mounted.
        versions = {"RELEASE", "OTEL_RESOURCE_ATTRIBUTES", "COLLECTOR_CONFIG_SHA256"}
        assert differing <= versions, name
        assert service["ports"] == hand[name]["ports"]
        assert service["healthcheck"] == hand[name]["healthcheck"]


@pytest.mark.parametrize("region", ["us", "eu"])
def test_by_hand_honeycombs_region_is_the_same(tmp_path: Path, region: str) -> None:
    key = {"HONEYCOMB_API_KEY": LIVE["HONEYCOMB_API_KEY"], "HONEYCOMB_REGION": region}
    plan = planned(tmp_path, "docker", **key)

    hand = by_hand(tmp_path / "clone", *(f"{name}={value}" for name, value in key.items()))

    wanted = plan.process("collector").environment["HONEYCOMB_ENDPOINT"]
    assert hand["collector"]["environment"]["HONEYCOMB_ENDPOINT"] == wanted


def test_by_hand_no_other_machine_sends_and_no_ambient_key_is_taken(tmp_path: Path) -> None:
    lines = ("OTLP_BIND=0.0.0.0", f"AWS_ACCESS_KEY_ID={LIVE['AWS_ACCESS_KEY_ID']}")

    collector = by_hand(tmp_path, *lines)["collector"]

    assert {port["host_ip"] for port in collector["ports"]} == {"127.0.0.1"}
    assert collector["environment"]["AWS_ACCESS_KEY_ID"] != LIVE["AWS_ACCESS_KEY_ID"]


def test_its_defaults_are_those_of_the_emulators_and_of_the_collectors_config() -> None:
    files = [ROOT / COMPOSE_FILE, *(ROOT / "compose/vendors").iterdir()]
    defaults = defaults_of("\n".join(file.read_text() for file in files))
    config = env_defaults((ROOT / CONFIG_FILE).read_text())

    emulated = load_emulators({})
    for name, default in defaults.items():
        if name.startswith("EMULATOR_"):
            assert load_emulators({name: default}) == emulated, name
        elif name in config and name not in {"TELEMETRY_DIR", "QUEUE_DIR"}:
            assert config[name] == default, name
    assert defaults["GOMEMLIMIT"] == go_memory_limit(load(ROOT / CONFIG_FILE))


def test_the_example_of_an_env_file_names_every_port_with_its_default() -> None:
    shown = dict(
        re.findall(r"^#(\w+_PORT)=(\d+)$", (ROOT / EXAMPLE_FILE).read_text(), re.MULTILINE)
    )

    ports = {name: value for name, value in defaults_of(TEXT).items() if name.endswith("_PORT")}

    assert ports == {name: value for name, value in shown.items() if name in ports}


def test_a_port_of_the_app_is_written_in_one_file() -> None:
    """It is told where people read it, and nowhere else."""
    default = defaults_of(TEXT)["BACKEND_PORT"]
    git = ["git", "grep", "-lw", default, "--", "*.py", "*.ts", "*.tsx", "*.yaml", "*Dockerfile"]
    found = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    holders = {
        name
        for name in found.split()
        if not name.startswith(("tests/", "collector/")) and ".test." not in name
    }
    assert holders == {str(COMPOSE_FILE)}


@pytest.mark.parametrize(
    ("text", "variables", "value"),
    [
        ("a ${A} ${B:-b} ${A:+c} ${B:+d}", {"A": "1"}, "a 1 b c "),
        ("x${A:+-${B:-us}}.env", {"A": "key"}, "x-us.env"),
        ("x${A:+-${B:-us}}.env", {"A": ""}, "x.env"),
        ("$$${A}", {"A": "${B}$"}, "$${B}$"),
    ],
)
def test_a_variable_is_put_in_as_compose_does(
    text: str, variables: dict[str, str], value: str
) -> None:
    assert interpolate(text, variables) == value


@pytest.mark.parametrize("text", ["$A", "${A-b}", "${A:?no}", "${A", "100 $"])
def test_what_only_one_of_them_reads_is_refused(text: str) -> None:
    with pytest.raises(StackError, match="cannot be read by both runtimes"):
        interpolate(text, {"A": "1"})


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("${PROFILES_PORT:-4568}:8000", "4568:8000", "services.profiles-flask.ports"),
        ("BIND: 0.0.0.0:8000", "BIND: [8000]", "services.profiles-flask.environment.BIND"),
        ("binary: collector", "binray: collector", "services.collector.x-native.binray"),
        ("${FRONTEND_PORT:-3000}:8000", "${FRONTEND_PORT:-3001}:8000", "FRONTEND_PORT has two"),
        ("      collector: {condition", "      colector: {condition", "depends on colector"),
    ],
)
def test_a_slip_in_the_file_is_one_line_that_says_where(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    # given
    shutil.copytree(ROOT / "compose", tmp_path / "compose")
    shutil.copytree(ROOT / "services", tmp_path / "services", ignore=lambda *_: ["node_modules"])
    assert old in TEXT
    (tmp_path / COMPOSE_FILE).write_text(TEXT.replace(old, new, 1))
    # when
    with pytest.raises(StackError) as refused:
        make_plan(load_settings(ROOT, {"PAGE": "on"}), tmp_path, "native")
    # then
    assert told in str(refused.value)
    assert str(COMPOSE_FILE) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_each_comes_after_what_it_needs() -> None:
    names = [*load_services(ROOT)]

    for name, service in SERVICES.items():
        for needed in service.get("depends_on", {}):
            assert names.index(needed) < names.index(name)
    assert names[-1] == PAGE
