"""A program under `opentelemetry-instrument` with this distro: what it prints, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_collector import FakeCollector, serve_otlp

BIN = Path(sys.executable).parent
SECONDS = 60.0

SPAN = """
from opentelemetry import trace
def span(name):
    with trace.get_tracer("test").start_as_current_span(name): pass
"""


def start(
    collector: FakeCollector, program: str, *paths: Path, **environment: str
) -> subprocess.Popen[str]:
    """`paths`: folders whose packages come before those of the environment."""
    return subprocess.Popen(
        [BIN / "opentelemetry-instrument", sys.executable, "-c", program],
        env={
            "OTEL_SERVICE_NAME": "test",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "PATH": f"{BIN}{os.pathsep}{os.defpath}",
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Its exit code, and what it printed."""
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


def test_what_is_held_at_sigterm_is_delivered() -> None:
    program = f"{SPAN}\nspan('held'); print('ready', flush=True)\nimport time; time.sleep(600)"
    with serve_otlp() as collector:
        process = start(collector, program, OTEL_BSP_SCHEDULE_DELAY="600000")
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.terminate()

        assert ended(process)[0] == 128 + signal.SIGTERM
        assert collector.spans == ["held"]


def test_a_program_that_ignores_sigterm_goes_on_doing_so() -> None:
    """Whoever started it may have it so; a handler of its own comes later, and stands too."""
    ignoring = ["sh", "-c", "trap '' TERM; exec \"$@\"", "sh"]
    program = "import signal; print(signal.getsignal(signal.SIGTERM) is signal.SIG_IGN)"
    with serve_otlp() as collector:
        command = [*ignoring, str(BIN / "opentelemetry-instrument"), sys.executable, "-c", program]
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "PATH": os.environ["PATH"]}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=SECONDS
        )

    assert done.stdout == "True\n"


def test_a_child_does_not_speak_on_its_parents_connection() -> None:
    program = f"""{SPAN}
import os
span("parent")
trace.get_tracer_provider().force_flush()
child = os.fork()
if child: os.waitpid(child, 0)
span("parent again" if child else "child")
trace.get_tracer_provider().force_flush()
"""
    with serve_otlp() as collector:
        assert ended(start(collector, program))[0] == 0

    assert sorted(collector.spans) == ["child", "parent", "parent again"]
    assert len(collector.connections["/v1/traces"]) == 2


def test_a_warning_of_a_script_that_sets_no_logging_up_is_still_printed() -> None:
    program = "import logging; logging.getLogger('orders').warning('late')"
    with serve_otlp() as collector:
        code, _, printed = ended(
            start(collector, program, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="")
        )

    assert code == 0
    assert printed.splitlines()[-1] == "late"
    assert collector.logs == ["late"]


@pytest.fixture
def another(tmp_path: Path) -> Path:
    """A folder with another distro, whose entry points come first."""
    (tmp_path / "another.py").write_text(
        "from opentelemetry.instrumentation.distro import DefaultDistro as Distro\n"
        "from opentelemetry.sdk._configuration import _OTelSDKConfigurator as Configurator\n"
    )
    about = tmp_path / "another-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: another\nVersion: 1\n")
    (about / "entry_points.txt").write_text(
        "[opentelemetry_distro]\nanother = another:Distro\n"
        "[opentelemetry_configurator]\nanother = another:Configurator\n"
    )
    return tmp_path


def test_another_distro_that_won_is_told_in_one_line(another: Path) -> None:
    with serve_otlp() as collector:
        _, _, printed = ended(start(collector, "pass", another))

    about_it = [line for line in printed.splitlines() if "OTEL_PYTHON_DISTRO=otel_stack" in line]
    assert len(about_it) == 1
    assert "another" in about_it[0]


def test_the_one_that_is_named_is_set_up(another: Path) -> None:
    program = f"{SPAN}\nspan('one')"
    with serve_otlp() as collector:
        named = start(collector, program, another, OTEL_PYTHON_DISTRO="otel_stack")
        _, _, printed = ended(named)

    assert "not ours" not in printed
    assert collector.spans == ["one"]


def test_another_that_was_chosen_is_no_news(another: Path) -> None:
    named = {"OTEL_PYTHON_DISTRO": "another", "OTEL_PYTHON_CONFIGURATOR": "another"}
    with serve_otlp() as collector:
        _, _, printed = ended(start(collector, "pass", another, **named))

    assert "not ours" not in printed
