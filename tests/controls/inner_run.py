"""Tests run in a copy of the project with changes made to it, and what came of them."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stack.caches import own_caches
from stack.collector_build import BUILD_ENVIRONMENT, SOURCES
from stack.page_build import SOURCES as PAGE_SOURCES
from stack.program import ProgramError, run
from stack.settings import ROOT
from tests.controls.taken_out import Change
from tests.integration.harness.checkout import copy_sources

TEST_SECONDS = 600
"""Images that are made anew and started take minutes on two busy cores; a test may have its own."""

RUN_SECONDS = 2400
"""Past this nothing ends what the tests started."""

ENVIRONMENTS = (".run/services-venv", ".run/emulators-venv", ".run/page-venv")
LINKED = (".venv", ".run/go", ".run/cache", str(PAGE_SOURCES / "node_modules"))
COPIED = (".run/bin", ".run/page", ".run/page.sha256")
"""What is made anew in place when its sources changed."""

NO_ASSERTION = re.compile(
    r"^(\w+: )?(SyntaxError|IndentationError|NameError|ImportError|ModuleNotFoundError"
    r"|.*\bbuilding the \w+ failed)"
)
"""A test that fails of these has not looked at the control: the change broke more than that."""


@dataclass
class Outcome:
    """`red`: what each test that failed said, in one line; `errors` the same of those whose
    fixtures failed; `broken`: why nothing was tested, such as an error of collection or a build.
    """

    red: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    green: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    output: str = ""

    def why_not_red(self, *, error_is_red: bool = False) -> str:
        """Empty when a test was red, for what it asserts."""
        if self.broken:
            return f"nothing was shown: {'; '.join(self.broken)}"
        red = self.red | self.errors if error_is_red else self.red
        if not red and self.errors:
            return f"no test came so far as to look: {self.errors}"
        if not red:
            return f"not red: {', '.join(self.green) or 'no test ran'}"
        if all(NO_ASSERTION.search(said) for said in red.values()):
            return f"red, but of something else: {red}"
        return ""


def run_in_copy(changes: Sequence[Change], tests: Sequence[str], runtime: str) -> Outcome:
    """Copy the project, make the changes there, run the tests. `runtime` as pytest's option."""
    outcome = Outcome()
    images = kept_images() if runtime == "docker" else contextlib.nullcontext()
    with images, _copy(changes) as copy:
        of_go = [test for test in tests if ".go::" in test]
        of_python = [test for test in tests if ".go::" not in test]
        if of_go:
            _go(copy, of_go, outcome)
        if of_python:
            _pytest(copy, of_python, runtime, outcome)
    return outcome


@contextlib.contextmanager
def kept_images() -> Iterator[None]:
    """The project's images are afterwards those that they were: none without its control stays
    behind, and none is `latest`.
    """
    before = _images()
    try:
        yield
    finally:
        for reference in _images().keys() - before.keys():
            subprocess.run(["docker", "image", "rm", "--force", reference], check=True)
        for reference, image in before.items():
            subprocess.run(["docker", "tag", image, reference], check=True)


def _images() -> dict[str, str]:
    """Ids by reference. Bases are Debian's packages and nothing of a copy; they take minutes."""
    listed = subprocess.run(
        ["docker", "image", "ls", "--format={{.Repository}}:{{.Tag}} {{.ID}}", "otel-stack/*"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = listed.stdout.splitlines()
    return dict(line.split() for line in lines if not re.search("<none>|-base:", line))


@contextlib.contextmanager
def _copy(changes: Sequence[Change]) -> Iterator[Path]:
    # The path of a socket in it is 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="control-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / "copy"
        copy_sources(copy)
        for change in changes:
            change.make(copy)
        _commit(copy)
        # One that does not fit its lock is made anew in place, and the distro's sources are part of
        # one: not in the project's own.
        another = any(
            change.file.endswith(".txt") or change.file.startswith("distro/") for change in changes
        )
        for name in (*LINKED, *(() if another else ENVIRONMENTS)):
            _lend(name, copy)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, symlinks=True)
            elif source.exists():
                shutil.copy2(source, copy / name)
        yield copy


def _lend(name: str, copy: Path) -> None:
    source = ROOT / name
    if source.exists():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).symlink_to(source.resolve())


def _commit(copy: Path) -> None:
    """Some tests ask git what is in it."""
    settings = ("user.name=controls", "user.email=controls@localhost", "commit.gpgSign=false")
    git = ["git", *(word for setting in settings for word in ("-c", setting))]
    for words in (
        ["init", "--quiet"],
        ["add", "--all"],
        ["commit", "--quiet", "--no-verify", "-m", "a copy"],
    ):
        subprocess.run([*git, *words], cwd=copy, check=True, capture_output=True)
    # A pattern that ends with a slash is none for a link.
    with (copy / ".git/info/exclude").open("a") as exclude:
        exclude.writelines(f"/{name}\n" for name in LINKED)


def _pytest(copy: Path, tests: Sequence[str], runtime: str, outcome: Outcome) -> None:
    report = copy.parent / "report.xml"
    command = [
        *(str(copy / ".venv/bin/python"), "-m", "pytest", *tests, f"--runtime={runtime}"),
        *("--quiet", "-p", "no:cacheprovider", "-o", "junit_family=xunit1"),
        f"--timeout={TEST_SECONDS}",
        *(f"--junitxml={report}", f"--basetemp={copy.parent / 'tmp'}"),
    ]
    _run(command, copy, {"PYTHONDONTWRITEBYTECODE": "1"}, outcome)
    if report.exists():
        read_report(report.read_text(), outcome)


def read_report(report: str, outcome: Outcome) -> None:
    """Pytest's own, in JUnit's form."""
    for case in ET.fromstring(report).iter("testcase"):  # noqa: S314 — pytest made it here
        name = f"{case.get('file', '')}::{case.get('name')}"
        failure, error = case.find("failure"), case.find("error")
        if failure is not None:
            outcome.red[name] = _told(failure)
        elif error is not None and error.get("message", "").startswith("collection"):
            outcome.broken.append(f"{name} could not be collected")
        elif error is not None:
            outcome.errors[name] = _told(error)
        elif case.find("skipped") is None:
            outcome.green.append(name)


def _told(element: ET.Element) -> str:
    return " ".join(element.get("message", "").split())[:300]


def _go(copy: Path, tests: Sequence[str], outcome: Outcome) -> None:
    packages: dict[str, dict[str, str]] = defaultdict(dict)
    for test in tests:
        file, _, name = test.partition("::")
        packages[str(Path(file).parent.relative_to(SOURCES))][name] = test
    environment = {**own_caches(ROOT), **BUILD_ENVIRONMENT}
    for package, names in packages.items():
        chosen = f"^({'|'.join(names)})$"
        # A module of its own each, which Go finds by its name alone.
        module = f"otel-stack/{package}"
        command = ["go", "test", "-mod=readonly", "-count=1", "-v", "-run", chosen, module]
        read_go(_run(command, copy / SOURCES, environment, outcome), names, outcome)


def read_go(output: str, tests: Mapping[str, str], outcome: Outcome) -> None:
    """What `go test -v` printed. `tests`: ids by the tests' names."""
    results = re.findall(r"^--- (PASS|FAIL): (\w+)", output, re.MULTILINE)
    for result, name in results:
        if result == "PASS":
            outcome.green.append(tests[name])
        else:
            said = re.search(r"^ +(\w+_test\.go:\d+: .*)$", output, re.MULTILINE)
            outcome.red[tests[name]] = said[1][:300] if said else "failed"
    if not results:
        outcome.broken.append(f"nothing ran of {', '.join(tests.values())}")


def _run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], outcome: Outcome
) -> str:
    """Both its outputs; a program that could not do its work is what makes the outcome broken."""
    try:
        said = run(command, seconds=RUN_SECONDS, environment=environment, cwd=folder)
    except ProgramError as ended:
        if ended.reason != "ended with exit code 1":
            outcome.broken.append(f"{command[0]} {ended.reason}")
        said = ended.standard_output + ended.output
    outcome.output += said
    return said
