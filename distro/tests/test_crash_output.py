"""An error that nobody catches holds a key: what is printed of it does not."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stack.settings import ROOT

SERVICES = ROOT / "services"
DEADLINE = 60

KEY = secrets.token_hex(16)
"""As Rollbar's: nothing but the environment tells that it is one."""

FORMED = f"hcaik_{secrets.token_hex(29)}"
"""As Honeycomb's: its form tells."""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A program with a key in its environment, to its end: `run(words, VARIABLE=value …)`."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env={
                "PATH": os.defpath,
                "PYTHONPATH": f"{ROOT / 'distro/src'}:{SERVICES / 'backend'}:{tmp_path}",
                "PYTHONDONTWRITEBYTECODE": "1",
                "DATABASE_URL": f"sqlite:///{tmp_path}/cruddur.db",
                "BIND": "127.0.0.1:0",
                "HOME": str(tmp_path),
                "ROLLBAR_ACCESS_TOKEN": KEY,
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )

    return run


def printed(done: subprocess.CompletedProcess[str]) -> str:
    said = done.stdout + done.stderr
    assert KEY not in said
    assert FORMED not in said
    return said


ERROR = f"ValueError('no answer with {KEY} and {FORMED}')"
SAID = "ValueError: no answer with **** and ****"


def test_of_the_process(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    configured = "from otel_stack_distro.json_logging import configure_logging as c; c()"

    done = run("-c", f"{configured}; raise {ERROR}")

    said = printed(done)
    assert done.returncode == 1
    assert said.startswith("Traceback (most recent call last)")
    assert said.endswith(f"{SAID}\n")


def test_of_a_thread_and_one_that_ends_itself(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(
        "import sys, threading\n"
        "from otel_stack_distro.json_logging import configure_logging\n"
        "def fail():\n"
        f"    raise {ERROR}\n"
        "configure_logging()\n"
        "for target in (fail, sys.exit):\n"
        "    one = threading.Thread(target=target, name='sender')\n"
        "    one.start(); one.join()\n"
    )

    said = printed(run("program.py"))

    assert said.startswith("Exception in thread sender:\nTraceback (most recent call last)")
    assert said.count("Exception in thread") == 1
    assert SAID in said


@pytest.mark.parametrize("key", [KEY, FORMED], ids=["any", "formed"])
def test_a_key_in_the_place_of_a_services_setting(
    run: Callable[..., subprocess.CompletedProcess[str]], key: str
) -> None:
    configured = f"--config={SERVICES / 'backend/gunicorn.conf.py'}"
    done = run("-m", "gunicorn", configured, DEBUG_ROUTES=key)

    assert done.returncode != 0
    said = "error: DEBUG_ROUTES is '****'. It has to be true or false."
    assert printed(done).splitlines()[-1] == said


def test_of_a_worker_that_cannot_start(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text(f"raise {ERROR}\n")
    configured = f"--config={SERVICES / 'backend/gunicorn.conf.py'}"

    done = run("-m", "gunicorn", configured, "broken:app")

    assert done.returncode != 0
    assert SAID in printed(done)
