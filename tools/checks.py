"""`make test`: every check, one after the other; a red one does not keep the next from running."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import typer

from stack.caches import own_caches
from stack.collector_build import BUILD_ENVIRONMENT, ensure_go
from stack.console import console, step
from stack.errors import StackError
from stack.images import ensure_images
from stack.page_build import SOURCES, ensure_node_packages
from stack.program import ProgramError, run
from stack.runtimes import native
from stack.services import make_plan
from stack.settings import ROOT, load_settings
from tools.entry import run_function
from tools.test_machine import debian
from tools.test_machine.base_images import ensure_base_images
from tools.test_machine.engine import ensure_engine, release

# Two runs side by side must not end each other's engine.
LEASE = f"make-test-{os.getpid()}"
SUITE_SECONDS = 1500

# Most of a test is waiting; a worker keeps a file's tests, which share what they start.
PARALLEL = ("--numprocesses=2", "--dist=loadfile")
INTEGRATION = ("tests/integration", *PARALLEL)
SECURITY = ("tests/security", *PARALLEL)
# By which of these names a system has it.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# `make faults` is the whole table; a case waits nearly all the time.
FAULTS = ("--runtime=native", "--numprocesses=3", "--dist=worksteal")

# Go's checksum database vouches for it.
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
ACTIONLINT_SECONDS = 300

# A file's tests share a collector; slow senders are waited for while bombs are thrown at another.
OVERLOAD = ("--runtime=native", *PARALLEL)


@dataclass(frozen=True)
class Outcome:
    """`todo`: what the user has to do before this can pass, where it could not run at all."""

    name: str
    passed: int
    failed: int
    seconds: float
    todo: str = ""


def run_all() -> list[Outcome]:
    """Run everything; an `Outcome` each, in the order they ran.

    The engine comes first, since unit tests ask Compose too; without one everything that needs none
    runs all the same.
    """
    outcomes = [_lint(name, command) for name, command in lint_commands(ROOT).items()]
    outcomes.append(_checked("actionlint", lambda: lint_workflows(ROOT)))
    outcomes.append(_checked("what the tests start", _prepare))
    try:
        engine = _checked("a Docker engine and the images", _engine_and_images)
        outcomes += [engine, *_page()]
        outcomes.append(_suite("unit", ["tests/unit", "distro/tests", "tests/controls", *PARALLEL]))
        outcomes.append(_suite("integration, native", [*INTEGRATION, "--runtime=native"]))
        outcomes.append(_suite("security, native", [*SECURITY, "--runtime=native"]))
        outcomes.append(_suite("faults, quick", ["tests/faults", *FAULTS]))
        outcomes.append(_suite("overload", ["tests/overload", *OVERLOAD]))
        outcomes += _in_a_browser()
        if not engine.failed:
            outcomes.append(_suite("integration, docker", [*INTEGRATION, "--runtime=docker"]))
            outcomes.append(_suite("security, docker", [*SECURITY, "--runtime=docker"]))
    finally:
        release(LEASE)
    return outcomes


def _page() -> list[Outcome]:
    """The page's types, lint and units. Without Node there is one line that says so."""
    packages = _checked("the page's packages", lambda: ensure_node_packages(ROOT))
    if packages.failed:
        return [packages]
    frontend = ROOT / SOURCES
    commands = {
        "tsc": ["node", "node_modules/typescript/bin/tsc", "--noEmit"],
        "eslint": ["node", "node_modules/eslint/bin/eslint.js", "--max-warnings=0", "."],
        "vitest": ["node", "node_modules/vitest/vitest.mjs", "run"],
    }
    return [packages, *(_lint(name, command, frontend) for name, command in commands.items())]


def _in_a_browser() -> list[Outcome]:
    """The page in Chromium, which is installed where that is possible and there is none."""
    browser = _checked("a browser", _ensure_browser)
    return [browser] if browser.failed else [browser, _suite("browser", ["tests/browser"])]


def _ensure_browser() -> None:
    if any(shutil.which(name) for name in BROWSERS):
        return
    if not debian.can_install():
        raise StackError("there is no Chromium for the page's tests", "install Chromium")
    with step("installing Chromium"):
        debian.install(["chromium"])


def lint_commands(root: Path) -> dict[str, list[str]]:
    """The linters by name, each over the files of its kind that git tracks."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    # git still lists a file that was deleted and not yet committed.
    tracked = [name for name in listed if (root / name).is_file()]
    yaml = [name for name in tracked if name.endswith((".yaml", ".yml"))]
    dockerfiles = [
        name for name in tracked if re.search(r"(^|[/.])Dockerfile(\.(?!dockerignore)|$)", name)
    ]
    shell = [name for name in tracked if name.endswith(".sh") or name == ".ci/run"]
    return {
        "ruff format": [_tool("ruff"), "format", "--check", "--quiet", "."],
        "ruff check": [_tool("ruff"), "check", "--quiet", "."],
        "mypy": [sys.executable, "-m", "mypy", "--no-error-summary"],
        "yamllint": [_tool("yamllint"), "--strict", *yaml],
        "hadolint": [_tool("hadolint"), *dockerfiles],
        "shellcheck": [_tool("shellcheck"), *shell],
    }


def lint_workflows(root: Path) -> None:
    """Run actionlint, which is a program of Go's, over `.github/workflows`. Raises StackError."""
    go = str(ensure_go(ROOT).path)
    command = [
        go,
        "run",
        ACTIONLINT,
        "-no-color",
        "-pyflakes=",
        f"-shellcheck={_tool('shellcheck')}",
    ]
    try:
        run(
            command,
            seconds=ACTIONLINT_SECONDS,
            environment={**own_caches(ROOT), **BUILD_ENVIRONMENT},
            cwd=root,
        )
    except ProgramError as failed:
        raise StackError(f"actionlint: {(failed.standard_output or str(failed)).strip()}") from None


def _tool(name: str) -> str:
    return str(ROOT / ".venv/bin" / name)


def _lint(name: str, command: list[str], folder: Path = ROOT) -> Outcome:
    started = time.monotonic()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"--- {name}\n{done.stdout}{done.stderr}", file=sys.stderr)
    failed = int(done.returncode != 0)
    return Outcome(name, 1 - failed, failed, time.monotonic() - started)


def _prepare() -> None:
    plan = make_plan(load_settings(ROOT, {}), ROOT, "native")
    native.prepare(plan)


def _engine_and_images() -> None:
    ensure_engine(LEASE, os.getpid())
    # The suites see them too.
    os.environ.update(ensure_base_images())
    ensure_images(make_plan(load_settings(ROOT), ROOT, "docker"))


def _checked(name: str, check: Callable[[], None]) -> Outcome:
    started = time.monotonic()
    try:
        check()
    except StackError as error:
        console.print(f"  [red]✗[/] {error}", soft_wrap=True)
        return Outcome(name, 0, 1, time.monotonic() - started, todo=str(error))
    return Outcome(name, 1, 0, time.monotonic() - started)


def _suite(name: str, arguments: list[str]) -> Outcome:
    """One pytest run. One that ends without a report of its tests counts as one failure."""
    started = time.monotonic()
    report = ROOT / ".run/test" / f"{name.replace(', ', '-').replace(' ', '-')}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    # A stack starts for each of them: two on two cores take 60 % of one's time, more only compete.
    workers = ["--numprocesses=logical", "--maxprocesses=4", "--dist=worksteal"]
    pytest = [sys.executable, "-m", "pytest", "--quiet", *workers, f"--junitxml={report}"]
    with step(f"running the tests: {name}"):
        done = subprocess.run(
            [*pytest, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            check=False,
            timeout=SUITE_SECONDS,
        )
    seconds = time.monotonic() - started
    if not report.exists():
        return Outcome(name, 0, 1, seconds, todo=f"pytest ended with {done.returncode} ({name})")
    passed, failed = _counts(report)
    if done.returncode != 0:
        failed = max(failed, 1)
    return Outcome(name, passed, failed, seconds)


def _counts(report: Path) -> tuple[int, int]:
    suites = ET.parse(report).getroot().iter("testsuite")  # noqa: S314 — we made this file
    passed = failed = 0
    for suite in suites:
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        failed += bad
        passed += int(suite.get("tests", 0)) - bad - int(suite.get("skipped", 0))
    return passed, failed


def main() -> None:
    """Lint, types, unit tests, the integration suite on both runtimes."""
    outcomes = run_all()
    for outcome in outcomes:
        console.print(_line(outcome), soft_wrap=True)
    for outcome in outcomes:
        if outcome.todo:
            console.print(f"[red]error:[/] {outcome.todo}", soft_wrap=True)
    passed = sum(outcome.passed for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes)
    print(f"{passed} passed, {failed} failed", flush=True)
    if failed:
        raise typer.Exit(1)


def _line(outcome: Outcome) -> str:
    mark = "[red]✗[/]" if outcome.failed else "[green]✓[/]"
    return (
        f"  {mark} {outcome.name}: {outcome.passed} passed, {outcome.failed} failed "
        f"in {outcome.seconds:.0f} s"
    )


if __name__ == "__main__":
    run_function(main)
