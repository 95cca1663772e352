"""A copy of the project as a user has it, and the command run in it as a user runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from stack.collector_build import ensure_collector_binary
from stack.collector_config.text import CONFIG_FILE, env_defaults
from stack.env_file import ENV_FILE
from stack.page_build import ensure_page
from stack.python_env import ensure_env
from stack.runtimes.containers import PROJECT_LABEL
from stack.services import make_plan, plan_to_stop
from stack.settings import ROOT, Settings
from tests.integration.harness.plans import ports_by_name
from tools.test_machine.base_images import NAMES

COMMAND_SECONDS = 180
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "PIP_CERT", "PIP_INDEX_URL", *NAMES)


@dataclass(frozen=True)
class Ended:
    code: int
    output: str

    @property
    def error(self) -> str:
        """The line that says what is wrong. Raises AssertionError unless there is exactly one, at
        the end, and nothing that only a programmer can read.
        """
        assert "Traceback" not in self.output, self.output
        lines = self.output.strip().splitlines()
        assert [line for line in lines if line.startswith("error:")] == lines[-1:], self.output
        return lines[-1]


class Checkout:
    """`ports`: those that its `.env` gives the stack, by name. `project`: its name for Compose."""

    def __init__(self, folder: Path, *, page: bool = False) -> None:
        self.folder = folder
        copy_sources(folder)
        self.project = plan_to_stop(Settings(), folder.resolve(), "docker").project
        self.ports = ports_by_name(env_defaults(self.config.read_text()))
        self.settings: dict[str, str] = {
            "RUNTIME": "native",
            # It needs Node, and takes longer to build than all else takes to start.
            "PAGE": "on" if page else "off",
            **{name: str(port) for name, port in self.ports.items()},
        }
        _lend_what_takes_minutes_to_make(self)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['BACKEND_PORT']}"

    @property
    def run_dir(self) -> Path:
        return self.folder / ".run"

    @property
    def config(self) -> Path:
        return self.folder / CONFIG_FILE

    def run(self, *words: str, environment: Mapping[str, str] | None = None) -> Ended:
        """Run the command to its end."""
        process = self.begin(*words, environment=environment)
        output, _ = process.communicate(timeout=COMMAND_SECONDS)
        return Ended(process.returncode, output)

    def begin(
        self, *words: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start the command; both its outputs are one stream."""
        lines = [f"{name}={value}\n" for name, value in self.settings.items()]
        (self.folder / ENV_FILE).write_text("".join(lines))
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return subprocess.Popen(
            [sys.executable, "-m", "stack", *words],
            cwd=self.folder,
            env={**passed_on, "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def status(self) -> dict[str, Any]:
        """What `status --json` says. Raises AssertionError when that is not JSON."""
        ended = self.run("status", "--json")
        lines = [line for line in ended.output.splitlines() if line.startswith("{")]
        assert lines, ended.output
        found: dict[str, Any] = json.loads(lines[-1])
        return found

    def processes(self) -> list[psutil.Process]:
        """Every process that began in this folder, or that the stack in it has started."""
        found = []
        for process in psutil.process_iter():
            try:
                about = [process.cwd(), *process.cmdline(), *process.environ().values()]
            except (psutil.Error, OSError):
                continue  # gone by now
            if process.pid != os.getpid() and any(str(self.folder) in word for word in about):
                found.append(process)
        return found

    def containers(self) -> list[str]:
        """Ids of the containers and networks of its project, stopped ones too."""
        label = f"label={PROJECT_LABEL}={self.project}"
        return [
            line
            for command in (["ps", "--all"], ["network", "ls"])
            for line in subprocess.run(
                ["docker", *command, "--quiet", "--no-trunc", f"--filter={label}"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()
        ]

    def main_process(self, word: str) -> psutil.Process:
        """The one among them whose command line holds `word` and whose parent's does not."""
        holders = [process for process in self.processes() if word in _command_line(process)]
        [main] = [process for process in holders if process.parent() not in holders]
        return main

    def close(self) -> None:
        """End what a failed test left."""
        if self.processes() or (self.settings["RUNTIME"] == "docker" and self.containers()):
            self.run("down")
        if self.settings["RUNTIME"] == "docker":
            remove_images(self.project)
        shutil.rmtree(self.folder)


def remove_images(project: str) -> None:
    """Remove the images that were made for a stack that is gone; the build's cache stays."""
    label = f"--filter=label={PROJECT_LABEL}={project}"
    listed = subprocess.run(
        ["docker", "images", "--quiet", label], capture_output=True, text=True, check=True
    ).stdout.split()
    if listed:
        subprocess.run(["docker", "rmi", "--force", *listed], capture_output=True, check=True)


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []  # gone by now


@contextmanager
def running_checkout(
    folder: Path, runtime: str, *, before: Sequence[str] = (), page: bool = False, **settings: str
) -> Iterator[Checkout]:
    """A checkout whose stack is up, with what its `.env` adds, after the commands `before`."""
    checkout = Checkout(folder, page=page)
    checkout.settings |= {"RUNTIME": runtime, **settings}
    try:
        for command in (*before, "up"):
            ended = checkout.run(command)
            assert ended.code == 0, ended.output
        yield checkout
    finally:
        checkout.run("down")
        checkout.close()


def copy_sources(folder: Path) -> None:
    """All that git has or would take, as it is in the work tree."""
    git = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def _lend_what_takes_minutes_to_make(checkout: Checkout) -> None:
    """Collector and Python environments of this project: building them is tested elsewhere."""
    defaults = env_defaults(checkout.config.read_text())
    page: Literal["on", "off"] = "on" if checkout.settings["PAGE"] == "on" else "off"
    plan = make_plan(Settings(page=page, collector=defaults), ROOT, "native")
    checkout.settings["COLLECTOR_BIN"] = str(ensure_collector_binary(ROOT))
    checkout.run_dir.mkdir()
    if plan.page_url:
        built = ensure_page(ROOT)
        (checkout.run_dir / built.name).symlink_to(built)
        stamp = built.with_suffix(".sha256")
        (checkout.run_dir / stamp.name).symlink_to(stamp)
    for env in {process.python for process in plan.processes if process.python}:
        ensure_env(env)
        (checkout.run_dir / env.folder.name).symlink_to(env.folder)
