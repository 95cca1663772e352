"""What `make env` prints, read back by what it is printed for."""

from __future__ import annotations

import io
import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from dotenv import dotenv_values

from stack.certificates import make
from stack.commands import env as command
from stack.errors import StackError
from stack.services import Plan, make_plan
from stack.services.external import Format, Place, ServiceEnv, service_env, written
from stack.settings import ROOT, load_settings

NASTY = "a $b \"c\" 'd' #e"
"""A folder's name that no reader may make anything else of."""


def plan_for(runtime: str, **settings: str) -> Plan:
    # Whatever the project's own .env says.
    return make_plan(load_settings(ROOT, {"PORT_OFFSET": "100", **settings}), ROOT, runtime)


@pytest.fixture
def secured(tmp_path: Path) -> dict[str, str]:
    """Settings that ask for a certificate and a token, made in a folder with a nasty name."""
    server, client = tmp_path / "server", tmp_path / NASTY
    make(server, client, ("localhost", "127.0.0.1", "collector"))
    return {
        "OTLP_ACCESS": "mtls,token",
        "OTLP_SERVER_SECRETS": str(server),
        "OTLP_CLIENT_SECRETS": str(client),
    }


def by_shell(text: str) -> Mapping[str, str | None]:
    shell = ["env", "-i", "sh", "-c", 'eval "$1"; env -0', "sh", text]
    printed = subprocess.run(shell, capture_output=True, text=True, check=True).stdout
    pairs = dict(line.split("=", 1) for line in printed.split("\0") if line)
    return {name: value for name, value in pairs.items() if name != "PWD"}


def by_dotenv(text: str) -> Mapping[str, str | None]:
    return dotenv_values(stream=io.StringIO(text))


def by_docker(text: str) -> Mapping[str, str | None]:
    return dict(line.split("=", 1) for line in text.splitlines())


def by_compose(text: str) -> Mapping[str, str | None]:
    environment = yaml.safe_load(text)["services"]["orders"]["environment"]
    return {name: value.replace("$$", "$") for name, value in environment.items()}


@pytest.mark.parametrize(
    ("form", "read"),
    [
        (Format.EXPORT, by_shell),
        (Format.DOTENV, by_dotenv),
        (Format.DOCKER, by_docker),
        (Format.COMPOSE, by_compose),
        (Format.JSON, json.loads),
    ],
)
def test_each_format_arrives_as_it_was_meant(
    form: Format, read: Callable[[str], Mapping[str, str | None]], secured: dict[str, str]
) -> None:
    # given
    env = service_env(plan_for("native", **secured), "orders", Place.HOST)
    assert NASTY in env.variables["OTEL_EXPORTER_OTLP_CLIENT_KEY"]
    # then
    assert read(written(env, form)) == env.variables


def test_three_variables_say_where_what_and_how() -> None:
    env = service_env(plan_for("native", OTLP_HTTP_PORT="4999"), "orders", Place.HOST)
    assert env.variables["OTEL_SERVICE_NAME"] == "orders"
    assert env.variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4999"
    assert env.variables["OTEL_PYTHON_DISTRO"] == "otel_stack"
    assert "deployment.environment=local" in env.variables["OTEL_RESOURCE_ATTRIBUTES"]


def compose_of(env: ServiceEnv) -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load(written(env, Format.COMPOSE))
    return loaded


def test_a_container_joins_the_stacks_network(secured: dict[str, str]) -> None:
    # given
    plan = plan_for("docker", **secured)
    # when
    env = service_env(plan, "orders", Place.CONTAINER)
    # then
    assert env.variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == "https://collector:4418"
    assert env.variables["OTEL_EXPORTER_OTLP_CERTIFICATE"] == "/run/otlp-secrets/ca.crt"
    text = written(env, Format.COMPOSE)
    assert f"{secured['OTLP_CLIENT_SECRETS']}:/run/otlp-secrets:ro" in text.replace("''", "'")
    assert yaml.safe_load(text)["networks"] == {
        "otel-stack": {"name": f"{plan.project}_default", "external": True}
    }


def test_a_container_beside_a_native_stack_shares_the_machines_network() -> None:
    env = service_env(plan_for("native"), "orders", Place.CONTAINER)
    assert env.variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4418"
    assert "network_mode: host" in written(env, Format.COMPOSE)


@pytest.mark.parametrize(
    ("runtime", "place", "host"),
    [
        ("native", Place.HOST, "127.0.0.1"),
        ("docker", Place.HOST, "127.0.0.1"),
        ("docker", Place.CONTAINER, "emulators"),
    ],
)
def test_sdks_in_the_code_reach_the_emulators(runtime: str, place: Place, host: str) -> None:
    # when
    found = service_env(plan_for(runtime), "orders", place, ("rollbar", "watchtower")).variables
    # then
    assert found["ROLLBAR_ENDPOINT"] == f"http://{host}:4684/api/1/"
    assert found["AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"] == f"http://{host}:4683"
    assert {"ROLLBAR_ACCESS_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_REGION"} <= found.keys()


def test_a_live_vendors_key_is_not_handed_out() -> None:
    # given
    token = "0123456789abcdef" * 2
    plan = plan_for("native", ROLLBAR_ACCESS_TOKEN=token)
    # when
    env = service_env(plan, "orders", Place.HOST, ["rollbar"])
    # then
    assert token not in written(env, Format.EXPORT)
    assert env.left_out == ("rollbar: ROLLBAR_ACCESS_TOKEN is set, so it needs keys of its own",)


@pytest.mark.parametrize("name", ["", "a b", "-a", "a;rm", "a\nb", "ä", "a" * 64])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(StackError, match="a service cannot be called"):
        service_env(plan_for("native"), name, Place.HOST)


@pytest.mark.parametrize(
    ("runtime", "place", "asks"),
    [
        ("native", Place.HOST, True),
        ("docker", Place.CONTAINER, True),
        ("docker", Place.HOST, False),
    ],
)
def test_xrays_rules_hold_where_they_can_be_asked_for(
    runtime: str, place: Place, asks: bool
) -> None:
    env = service_env(plan_for(runtime, TRACES_SAMPLER="xray_remote"), "orders", place)
    assert ("OTEL_TRACES_SAMPLER" in env.variables) is asks
    assert bool(env.left_out) is not asks


def test_hints_do_not_stand_in_what_is_evaluated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given
    monkeypatch.setattr(command, "plan_of_running", lambda: plan_for("native"))
    # when
    command.run("orders", Format.JSON, None, "")
    # then
    printed = capsys.readouterr()
    assert json.loads(printed.out)["OTEL_SERVICE_NAME"] == "orders"
    assert re.search(r"pip install '.*distro'", printed.err)
    assert "opentelemetry-instrument" in printed.err
