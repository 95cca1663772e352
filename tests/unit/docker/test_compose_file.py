"""The compose file: what it promises of every service, and that the plan gives it all it needs."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.applied_config import apply_config, wanted_config
from stack.engine import Engine
from stack.runtimes import compose
from stack.services import make_plan, otel_env
from stack.settings import load_settings
from tests.unit.compose_cli import need_compose

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "compose/compose.yaml"
EMULATORS_FILE = ROOT / "compose/local.yaml"
PAGE_FILE = ROOT / "compose/page.yaml"
TEXT = FILE.read_text() + EMULATORS_FILE.read_text() + PAGE_FILE.read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
SERVICES["emulators"] = yaml.safe_load(EMULATORS_FILE.read_text())["services"]["emulators"]
SERVICES["frontend-react"] = yaml.safe_load(PAGE_FILE.read_text())["services"]["frontend-react"]
OTHER_INSIDE = {
    "BIND",
    "COLLECTOR_BIND",
    "DATABASE_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTLP_BIND",
    "PROFILES_URL",
    "QUEUE_DIR",
    "EMULATOR_BIND",
    "EMULATOR_HOSTS",
    "TELEMETRY_DIR",
}
NAMED = re.compile(r"\$\{([A-Z0-9_]+)")


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the runtime gives to Compose, with images that are not made."""
    monkeypatch.setenv("RUN_DIR", str(tmp_path))
    monkeypatch.setenv("PAGE", "on")
    plan = make_plan(load_settings(ROOT), ROOT, "docker")
    apply_config(plan, wanted_config(plan))
    engine = Engine("unix:///var/run/docker.sock", "20.10.24", "2.26.1", "0.13.1")
    names = ("collector", "backend", "profiles", "emulators", "frontend")
    return compose.compose_variables(plan, engine, {name: f"example/{name}:1" for name in names})


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
def test_ports_are_on_loopback_and_the_same_inside(name: str) -> None:
    """The collector's two of OTLP are where OTLP_BIND says, which is loopback unless it is set."""
    for port in SERVICES[name]["ports"]:
        parts = re.fullmatch(r"(.+):\$\{(\w+)(?::\?)?\}:\$\{(\w+)\}", port)
        assert parts, port
        address, outside, inside = parts.groups()
        assert outside == inside
        assert address == "127.0.0.1" or (
            re.fullmatch(r"\$\{OTLP_BIND(:\?)?\}", address)
            and outside in {"OTLP_GRPC_PORT", "OTLP_HTTP_PORT"}
        ), port


def test_no_port_is_written_down_here(variables: dict[str, str]) -> None:
    ports = [value for name, value in variables.items() if name.endswith("_PORT")]

    assert ports
    for port in ports:
        assert not re.search(rf"\b{port}\b", TEXT)


def test_the_runtime_sets_every_variable(variables: dict[str, str]) -> None:
    assert set(NAMED.findall(TEXT)) <= set(variables)


def test_a_container_gets_the_variables_that_the_process_gets_natively(
    variables: dict[str, str],
) -> None:
    plan = make_plan(load_settings(ROOT, {"PAGE": "on"}), ROOT, "native")
    for process in plan.processes:
        service = SERVICES[process.name]
        files = [name.replace("${ENV_DIR}", variables["ENV_DIR"]) for name in service["env_file"]]
        files = [re.sub(r"\$\{ENV_DIR:[^}]*\}", variables["ENV_DIR"], name) for name in files]
        given = {*service["environment"]}.union(*(otel_env(FILE.parent / name) for name in files))

        assert set(process.environment) - compose.IMAGES_OWN <= given, process.name


def test_keys_are_only_for_the_caller_to_read(variables: dict[str, str]) -> None:
    files = [*Path(variables["ENV_DIR"]).iterdir()]

    assert files
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_the_docker_client_cannot_add_to_the_resource() -> None:
    # It sets OTEL_RESOURCE_ATTRIBUTES for its plugins, with an attribute of its own.
    assert "OTEL_RESOURCE_ATTRIBUTES" not in NAMED.findall(TEXT)


def test_nobody_waits_for_the_collector_to_be_healthy() -> None:
    # The application serves without it; the dependency is there for the order of the stop.
    for service in SERVICES.values():
        for wait in service.get("depends_on", {}).values():
            assert wait["condition"] == "service_started"


def test_compose_reads_it(variables: dict[str, str]) -> None:
    need_compose()
    plan = make_plan(load_settings(ROOT), ROOT, "docker")
    files = [f"--file={ROOT / file}" for file in compose.compose_files(plan)]
    command = ["docker", "compose", "--env-file", "/dev/null", *files]

    rendered = subprocess.run(
        [*command, "config"],
        check=False, capture_output=True, text=True, timeout=60, env={**os.environ, **variables},
    )  # fmt: skip

    assert rendered.returncode == 0, rendered.stderr
    assert rendered.stderr == ""
    services = yaml.safe_load(rendered.stdout)["services"]
    published = {
        (port["host_ip"], int(port["published"]), port["target"])
        for service in services.values()
        for port in service["ports"]
    }
    assert published
    for address, outside, inside in published:
        assert address == "127.0.0.1"
        assert outside == inside
    for process in plan.processes:
        given = services[process.name]["environment"]
        for name in set(process.environment) - compose.IMAGES_OWN - OTHER_INSIDE:
            assert given[name] == process.environment[name], name
    assert services["backend-flask"]["environment"]["OTEL_SERVICE_NAME"] == "backend-flask"
