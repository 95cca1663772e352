"""A value in `.env` is what stands there: no `$` is looked at, in neither runtime."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from supervisor.options import ServerOptions

from stack import otlp_json
from stack.applied_config import applied_config, apply_config, wanted_config
from stack.collector_build import ensure_collector_binary
from stack.collector_config.files import REDACTION_FILE, ConfigTexts
from stack.collector_config.resolved import expand
from stack.collector_config.text import CONFIG_FILE
from stack.env_file import ENV_FILE
from stack.errors import StackError
from stack.fragments import VENDORS
from stack.runtimes.compose import write_environment
from stack.runtimes.supervisor import _quoted_value, config_file, write_config
from stack.services import Plan, make_plan
from stack.settings import ROOT, load_settings
from tests.unit.collector.running import running
from tests.unit.compose_cli import need_compose

KEYS = 150
ODD = "$$$${}'\"\\#;=,: %&!~@^*()[]<>|?`"
"""Characters that some reader of a file or a command line takes for its own, `$` above all."""

KNOWN_ODD = (
    "${OTHER}",
    "$${OTHER}",
    "$OTHER",
    "a$$b",
    "$",
    "${env:OTHER}",
    "a${OTHER}b$",
    "%(ENV_HOME)s",
    "a#b",
    "it's",
    'say "x"y',
    "back\\slash\\",
    "a,b=c",
    "{a: b}",
    "[1]",
    "0123",
    "1e3",
    "~",
    "null",
    "yes",
    "!tag x",
    "&anchor",
)
"""The middle ones are something else than text to YAML, which the collector reads values as."""


def _refused_upstream(text: str) -> bool:
    """What is a map of something else than text to YAML: the collector does not start with it, and
    says "unsupported type … ensure that values are wrapped in quotes".
    """
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return False
    return not isinstance(found, str | int | float | None)


def _drawn() -> tuple[str, ...]:
    """Keys that hypothesis draws, the same ones each time."""
    found: list[str] = [*KNOWN_ODD]
    letters = st.sampled_from(ODD + "aB3")

    @settings(
        max_examples=10 * KEYS,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.text(letters, min_size=1, max_size=16))
    def draw(text: str) -> None:
        wanted = text == text.strip() and text not in found and not _refused_upstream(text)
        if wanted and len(found) < KEYS:
            found.append(text)

    draw()
    return tuple(found)


DRAWN = _drawn()


def _written(value: str) -> str:
    """As .env.example says that a value with odd characters is to be written."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose collector sends each key in a header of its own, 50 in a request: Python's
    server takes no more than 100.
    """
    for name in (VENDORS, Path("services/backend"), Path("services/profiles")):
        (tmp_path / name).mkdir(parents=True)
    shutil.copytree(ROOT / "compose", tmp_path / "compose")
    for file in ("backend/otel.env", "profiles/otel.env"):
        shutil.copyfile(ROOT / "services" / file, tmp_path / "services" / file)
    config = yaml.safe_load((ROOT / CONFIG_FILE).read_text())
    headers = {f"k{n}": f"${{env:VENDOR_K{n}}}" for n in range(len(DRAWN))}
    # As vendors' snippets have it, and within a text.
    headers |= {"short": "${VENDOR_K0}", "within": "Bearer ${env:VENDOR_K2} ${VENDOR_K3}"}
    names = [*headers]
    exporters = {
        f"otlp_http/odd{first}": {
            "endpoint": "${env:ODD_ENDPOINT}",
            "headers": {name: headers[name] for name in names[first : first + 50]},
            "sending_queue": {"enabled": False},
        }
        for first in range(0, len(names), 50)
    }
    config["exporters"] |= exporters
    pipeline = {"receivers": ["otlp"], "exporters": [*exporters]}
    config["service"]["pipelines"] = {"traces": pipeline}
    (tmp_path / CONFIG_FILE).parent.mkdir(exist_ok=True)
    (tmp_path / CONFIG_FILE).write_text(yaml.safe_dump(config))
    (tmp_path / REDACTION_FILE).symlink_to(ROOT / REDACTION_FILE)
    return tmp_path


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Vendor(http.server.ThreadingHTTPServer):
    """Keeps the headers of all that it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.headers: dict[str, str] = {}


class _Requests(http.server.BaseHTTPRequestHandler):
    server: Vendor

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.headers |= {name.lower(): value for name, value in self.headers.items()}
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test's output quiet."""


def _plan(root: Path, runtime: str, endpoint: str) -> Plan:
    lines = [f"VENDOR_K{n}={_written(key)}\n" for n, key in enumerate(DRAWN)]
    (root / ENV_FILE).write_text("".join(lines) + f"ODD_ENDPOINT={endpoint}\n")
    return make_plan(load_settings(root, {}), root, runtime)


def _given_by_supervisor(plan: Plan) -> dict[str, str]:
    """What supervisor gives the collector, as its own parser reads its file. What it cannot be told
    is refused, and left out here.
    """
    collector = plan.process("collector")
    told = {}
    for name, value in collector.environment.items():
        try:
            _quoted_value(name, value)
        except StackError:
            continue
        told[name] = value
    plan = replace(plan, processes=(replace(collector, environment=told),))
    apply_config(plan, ConfigTexts(""))
    plan.folders["LOG_DIR"].mkdir(parents=True)
    write_config(plan)
    options = ServerOptions()
    options.realize(["--configuration", str(config_file(plan))])
    [group] = options.process_group_configs
    return dict(group.process_configs[0].environment)


def _given_by_compose(plan: Plan) -> dict[str, str]:
    """What Compose gives the collector, as it reads the files itself."""
    need_compose()
    folder = write_environment(plan)
    file = folder / "compose.yaml"
    file.write_text("services: {collector: {image: x, env_file: [collector.env]}}\n")
    shown = subprocess.run(
        ["docker", "compose", f"--file={file}", "config", "--format=json"],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout
    environment = json.loads(shown)["services"]["collector"]["environment"]
    # It shows what could be read as a compose file again.
    return {name: value.replace("$$", "$") for name, value in environment.items()}


GIVEN: dict[str, Callable[[Plan], dict[str, str]]] = {
    "native": _given_by_supervisor,
    "docker": _given_by_compose,
}


@pytest.mark.parametrize("runtime", ["native", "docker"])
def test_a_key_reaches_the_vendor_as_it_stands_in_the_env_file(
    root: Path, vendor: Vendor, tmp_path: Path, runtime: str
) -> None:
    # given
    assert len(DRAWN) == KEYS
    plan = _plan(root, runtime, f"http://127.0.0.1:{vendor.server_port}")
    given = GIVEN[runtime](plan)
    environment = {n: value for n, value in given.items() if n.startswith(("VENDOR_", "ODD_"))}
    binary = ensure_collector_binary(ROOT)
    # when
    with running(binary, tmp_path / "run", root / CONFIG_FILE, environment) as collector:
        collector.post("traces", otlp_json.span("a-service", "1" * 32, "a span"))
    # then
    got = {n: vendor.headers[f"k{n}"] for n in range(KEYS) if f"VENDOR_K{n}" in environment}
    assert got == {n: DRAWN[n] for n in got}
    assert vendor.headers["short"] == DRAWN[0]
    assert vendor.headers["within"] == f"Bearer {DRAWN[2]} {DRAWN[3]}"
    # and what is refused is what the file's own language has no words for
    refused = [DRAWN[n] for n in range(KEYS) if n not in got]
    assert all({*"'\""} & {*key} or " #" in key or " ;" in key for key in refused)
    assert len(refused) < (KEYS // 2 if runtime == "native" else 1)
    print(f"{len(got)} keys arrived, {len(refused)} were refused")


def test_the_stacks_own_reading_of_the_config_is_the_collectors(root: Path) -> None:
    # given
    plan = _plan(root, "native", "http://127.0.0.1:1")
    apply_config(plan, wanted_config(plan))
    # when
    exporters = applied_config(plan)["exporters"]
    # then
    headers = {
        name: str(value)
        for exporter, body in exporters.items()
        if exporter.startswith("otlp_http/odd")
        for name, value in body["headers"].items()
    }
    assert headers["within"] == f"Bearer {DRAWN[2]} {DRAWN[3]}"
    for n, key in enumerate(DRAWN):
        # Numbers are told by their type, as the collector's settings that want one have them.
        assert headers[f"k{n}"] in {key, str(yaml.safe_load(key)) if key.isdigit() else key}


def test_a_folder_with_a_dollar_in_its_name_is_written_to(root: Path) -> None:
    (root / ENV_FILE).write_text("RUN_DIR=a$$b${c}\nODD_ENDPOINT=x\n")
    plan = make_plan(load_settings(root, {}), root, "native")

    assert plan.telemetry_dir == root / "a$$b${c}/telemetry"
    variables = plan.process("collector").environment
    assert expand("${env:TELEMETRY_DIR}", variables) == str(plan.telemetry_dir)


def test_what_awss_own_sdk_reads_is_not_for_the_collectors_eyes(root: Path) -> None:
    secret = {"AWS_TELEMETRY": "live", "AWS_PROFILE": "a$b", "ODD_ENDPOINT": "x"}
    plan = make_plan(load_settings(root, secret), root, "native")

    assert plan.process("collector").environment["AWS_PROFILE"] == "a$b"
