"""Settings turned into processes, ports and variables."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.collector_config.text import CONFIG_FILE, env_defaults
from stack.compose_file import COMPOSE_FILE
from stack.errors import StackError
from stack.services import make_plan, otel_env, service_version
from stack.settings import REGION, ROOT, Settings, load_settings

COLLECTOR = env_defaults((ROOT / CONFIG_FILE).read_text())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for service in ("backend", "profiles"):
        (tmp_path / "services" / service).mkdir(parents=True)
        (tmp_path / "services" / service / "otel.env").write_text(
            f"OTEL_SERVICE_NAME={service}-flask\n"
        )
    shutil.copytree(ROOT / "compose", tmp_path / "compose")
    return tmp_path


def test_the_app_starts_after_what_it_needs(root: Path) -> None:
    # when
    plan = make_plan(Settings(collector=COLLECTOR), root, "native")
    # then
    order = sorted(plan.processes, key=lambda process: process.start_order)
    names = [process.name for process in order]
    assert names.index("collector") < names.index("profiles-flask") < names.index("backend-flask")


@pytest.mark.parametrize(
    ("sampler", "trust", "backend"),
    [
        ("always_on", "off", ("always_on", None)),
        ("always_on", "on", ("parentbased_always_on", None)),
        ("xray_remote", "off", ("xray_remote", "trust_callers=false")),
        ("xray_remote", "on", ("xray_remote", "trust_callers=true")),
    ],
)
def test_callers_decide_what_is_recorded_only_behind_the_edge(
    root: Path, sampler: str, trust: str, backend: tuple[str, str | None]
) -> None:
    # given
    chosen: dict[str, Any] = {"traces_sampler": sampler, "trust_callers": trust}
    plan = make_plan(Settings(collector=COLLECTOR, **chosen), root, "native")
    # when
    found = {
        name: (
            (environment := plan.process(name).environment)["OTEL_TRACES_SAMPLER"],
            environment.get("OTEL_TRACES_SAMPLER_ARG", ",").split(",")[-1] or None,
        )
        for name in ("backend-flask", "profiles-flask")
    }
    # then
    assert found["backend-flask"] == backend
    follows = {"always_on": ("parentbased_always_on", None)}
    assert found["profiles-flask"] == follows.get(sampler, (sampler, "trust_callers=true"))


def test_a_port_that_the_user_moved_moves_everywhere(root: Path) -> None:
    # given
    settings = Settings(
        ports={"BACKEND_PORT": 5000, "PROFILES_PORT": 5001},
        collector={**COLLECTOR, "OTLP_HTTP_PORT": "5002"},
    )
    # when
    plan = make_plan(settings, root, "native")
    # then
    collector, backend = (
        next(process for process in plan.processes if process.name == name)
        for name in ("collector", "backend-flask")
    )
    assert backend.url == "http://127.0.0.1:5000"
    assert backend.environment["BIND"] == "127.0.0.1:5000"
    assert backend.environment["PROFILES_URL"] == "http://127.0.0.1:5001"
    assert backend.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:5002"
    assert collector.environment["OTLP_HTTP_PORT"] == "5002"
    assert plan.ports["OTLP_HTTP_PORT"] == 5002
    assert backend.health.startswith("http://127.0.0.1:5000/")


@pytest.mark.parametrize("runtime", ["native", "docker"])
def test_without_the_sample_app_the_stacks_own_parts_are_left(root: Path, runtime: str) -> None:
    # when
    plan = make_plan(Settings(collector=COLLECTOR, sample_app="off"), root, runtime)
    # then
    assert [process.name for process in plan.processes] == ["emulators", "collector"]
    assert plan.page_url is None


def test_what_needs_a_service_that_is_left_out_is_one_line(root: Path) -> None:
    # given a service beside the sample application
    file = root / COMPOSE_FILE
    tree = yaml.safe_load(file.read_text())
    waits = {"condition": "service_started"}
    tree["services"]["orders"] = {
        "command": ["orders"],
        "depends_on": {"backend-flask": waits},
        "healthcheck": {"test": ["CMD", "http://127.0.0.1:8000/"]},
        "x-native": {},
    }
    file.write_text(yaml.safe_dump(tree))
    # then
    with pytest.raises(
        StackError, match=r"orders depends on backend-flask, which .*without-sample"
    ):
        make_plan(Settings(collector=COLLECTOR, sample_app="off"), root, "native")


def test_the_page_without_the_sample_app_is_refused(root: Path) -> None:
    with pytest.raises(StackError, match="PAGE=on asks for the sample application's page"):
        make_plan(Settings(collector=COLLECTOR, sample_app="off", page="on"), root, "native")


def test_everything_that_is_written_is_in_the_run_folder(root: Path) -> None:
    # when
    plan = make_plan(Settings(run_dir=root / "elsewhere", collector=COLLECTOR), root, "native")
    # then
    assert all(folder.is_relative_to(root / "elsewhere") for folder in plan.folders.values())
    collector = next(process for process in plan.processes if process.name == "collector")
    assert collector.environment["TELEMETRY_DIR"] == str(root / "elsewhere/telemetry")


def test_making_a_plan_writes_nothing(root: Path) -> None:
    # given
    before = sorted(root.rglob("*"))
    # when
    make_plan(Settings(collector=COLLECTOR), root, "native")
    # then
    assert sorted(root.rglob("*")) == before


def test_two_names_for_one_port_are_both_told(root: Path) -> None:
    with pytest.raises(StackError, match=r"OTLP_HTTP_PORT and BACKEND_PORT are both 4318;"):
        make_plan(Settings(ports={"BACKEND_PORT": 4318}, collector=COLLECTOR), root, "native")


def test_a_missing_otel_env_is_named(root: Path) -> None:
    # given
    (root / "services/backend/otel.env").unlink()
    # then
    with pytest.raises(StackError, match=r"services/backend/otel\.env is missing;"):
        make_plan(Settings(collector=COLLECTOR), root, "native")


def test_a_name_without_a_value_in_otel_env_is_named(tmp_path: Path) -> None:
    # given
    file = tmp_path / "otel.env"
    file.write_text("OTEL_A=1\nOTEL_B\n")
    # then
    with pytest.raises(StackError, match="OTEL_B"):
        otel_env(file)


def test_values_in_otel_env_are_taken_as_they_stand(tmp_path: Path) -> None:
    # given
    file = tmp_path / "otel.env"
    file.write_text("# shared\nOTEL_A=a=b,c=$HOME\nOTEL_B=\n")
    # then
    assert otel_env(file) == {"OTEL_A": "a=b,c=$HOME", "OTEL_B": ""}


def test_outside_of_git_the_version_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    # then
    assert service_version(tmp_path) == "unknown"


def test_go_collects_garbage_before_the_memory_limiter_refuses(root: Path) -> None:
    # given
    config = root / "config.yaml"
    config.write_text("processors: {memory_limiter: {limit_mib: 160, spike_limit_mib: 40}}\n")
    settings = Settings(collector=COLLECTOR, collector_config=config)
    # when
    collector = make_plan(settings, root, "native").process("collector")
    # then
    assert collector.environment["GOMEMLIMIT"] == "120MiB"


def test_a_config_without_a_memory_limiter_has_no_memory_limit(root: Path) -> None:
    # given
    config = root / "config.yaml"
    config.write_text("processors: {}\n")
    settings = Settings(collector=COLLECTOR, collector_config=config)
    # when
    collector = make_plan(settings, root, "native").process("collector")
    # then
    assert collector.environment["GOMEMLIMIT"] == "off"


NO_AWS = """
receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:${env:OTLP_HTTP_PORT:-4318}"}}}}
extensions: {health_check: {endpoint: "127.0.0.1:${env:COLLECTOR_HEALTH_PORT:-13133}"}}
service: {telemetry: {metrics: {readers: [{pull: {exporter: {prometheus:
  {port: "${env:COLLECTOR_METRICS_PORT:-8888}"}}}}]}}}
"""


@pytest.mark.parametrize("runtime", ["native", "docker"])
def test_a_config_without_aws_is_planned(root: Path, runtime: str) -> None:
    # given
    (root / CONFIG_FILE).parent.mkdir()
    (root / CONFIG_FILE).write_text(NO_AWS)
    # when
    plan = make_plan(load_settings(root, {}), root, runtime)
    # then
    assert plan.process("collector").environment["AWS_REGION"] == REGION
    assert plan.process("collector").ports.keys() >= {"OTLP_HTTP_PORT"}


@pytest.mark.parametrize(
    "name", ["OTLP_HTTP_PORT", "COLLECTOR_HEALTH_PORT", "COLLECTOR_METRICS_PORT"]
)
def test_a_config_without_a_port_that_the_commands_need_is_one_line(root: Path, name: str) -> None:
    # given
    (root / CONFIG_FILE).parent.mkdir()
    (root / CONFIG_FILE).write_text(re.sub(rf"\$\{{env:{name}:-(\d+)\}}", r"\1", NO_AWS))
    # when
    with pytest.raises(StackError, match=rf"does not say \$\{{env:{name}:-…\}}"):
        make_plan(load_settings(root, {}), root, "native")
