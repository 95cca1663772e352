"""`make audit`: known vulnerabilities in what is locked, as each ecosystem's own tool tells them.

Each tool asks a service on the internet. One that does not answer leaves its packages unasked,
which is told apart from "nothing found": pip-audit says "No known vulnerabilities" for both.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from stack.collector_build import ensure_collector_binary
from stack.console import console
from stack.entry import run_function
from stack.errors import StackError
from stack.page_build import SOURCES as PAGE
from stack.program import ProgramError, run
from stack.settings import ROOT
from tools.lock import LOCKS

GOVULNCHECK = "golang.org/x/vuln/cmd/govulncheck@v1.1.4"
"""Go's checksum database vouches for it. The data is not part of it, and is always the newest."""

ASK_SECONDS = 300


@dataclass(frozen=True)
class Audit:
    """`asked` and `unasked` count packages; `why`: what kept the tool from asking about the latter.

    `findings`: a line each, with the version that cures it where there is one.
    """

    tool: str
    asked: int
    unasked: int
    why: str = ""
    findings: tuple[str, ...] = ()


def audit_all(root: Path) -> Iterator[Audit]:
    """One tool after the other."""
    tools: dict[str, Callable[[Path], Audit]] = {
        "pip-audit": _pip_audit,
        "govulncheck": _govulncheck,
        "npm audit": _npm_audit,
    }
    for name, ask in tools.items():
        try:
            yield ask(root)
        except (ProgramError, StackError, ValueError) as failed:
            yield Audit(name, 0, 0, why=" ".join(str(failed).split()))


def _pip_audit(root: Path) -> Audit:
    tool = str(root / ".venv/bin/pip-audit")
    quiet = ["--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json"]
    # It refuses a package that stands in two of them.
    return read_pip_audit(
        _output([tool, *quiet, f"--requirement={root / lock}.txt"], root, also_failed=True)
        for lock in LOCKS
    )


def read_pip_audit(said: Iterable[str]) -> Audit:
    """Of `pip-audit --format=json`, one text a lock file."""
    packages: dict[tuple[str, str], dict[str, Any]] = {}
    for text in said:
        for package in json.loads(text)["dependencies"]:
            # What was left out has its version only in the reason.
            packages[package["name"], package.get("version", "")] = package
    reasons = [one["skip_reason"] for one in packages.values() if "skip_reason" in one]
    findings = []
    for package in packages.values():
        for one in package.get("vulns", ()):
            cure = one["fix_versions"]
            findings.append(
                f"{package['name']} {package['version']}: {one['id']}"
                + (f", cured in {cure[0]}" if cure else "")
            )
    asked = len(packages) - len(reasons)
    why = f"for example: {reasons[0]}" if reasons else ""
    return Audit("pip-audit", asked, len(reasons), why, tuple(findings))


def _govulncheck(root: Path) -> Audit:
    binary = ensure_collector_binary(root)
    go = shutil.which("go")
    if go is None:
        raise StackError("there is no Go on PATH to run it with")
    # The module of the collector would decide over the versions of the tool's own.
    command = [go, "run", GOVULNCHECK, "-mode=binary", "-json", str(binary)]
    try:
        return read_govulncheck(_output(command, Path("/")))
    except ProgramError as failed:
        # Its last line is `go run`'s, which says "exit status 1".
        said = re.findall(r"^(?:govulncheck|go): (.*)$", failed.output, re.MULTILINE)
        raise StackError(said[-1] if said else failed.last_line) from None


def read_govulncheck(said: str) -> Audit:
    """Of `govulncheck -json`: one JSON object after the other."""
    decoder = json.JSONDecoder()
    modules: set[str] = set()
    findings = []
    rest = said.strip()
    while rest:
        message, end = decoder.raw_decode(rest)
        rest = rest[end:].lstrip()
        modules |= {one["path"] for one in message.get("SBOM", {}).get("modules", ())}
        found = message.get("finding")
        if found:
            place = found["trace"][0]
            cure = found.get("fixed_version")
            findings.append(
                f"{place['module']} {place.get('version', '')}: {found['osv']}"
                + (f", cured in {cure}" if cure else "")
            )
    return Audit("govulncheck", len(modules), 0, findings=tuple(dict.fromkeys(findings)))


def _npm_audit(root: Path) -> Audit:
    npm = shutil.which("npm")
    if npm is None:
        raise StackError("there is no npm on PATH")
    command = [npm, "audit", "--json", "--package-lock-only"]
    return read_npm_audit(_output(command, root / PAGE, also_failed=True))


def read_npm_audit(said: str) -> Audit:
    """Of `npm audit --json`."""
    told: dict[str, Any] = json.loads(said)
    if "vulnerabilities" not in told:
        error = told.get("error") or told
        raise StackError(str(error.get("summary") or told.get("message") or "no answer"))
    findings = [
        f"{name} {found['range']}: {found['severity']}"
        + (", cured by an upgrade" if found["fixAvailable"] else "")
        for name, found in told["vulnerabilities"].items()
    ]
    total = told["metadata"]["dependencies"]["total"]
    return Audit("npm audit", total, 0, findings=tuple(findings))


def _output(argv: list[str], folder: Path, *, also_failed: bool = False) -> str:
    """`also_failed`: of a tool that ends with an error where it found something."""
    try:
        return run(argv, seconds=ASK_SECONDS, cwd=folder)
    except ProgramError as failed:
        if also_failed and failed.standard_output.strip().startswith("{"):
            return failed.standard_output
        raise


def main() -> None:
    """Ask pip-audit, govulncheck and npm audit; needs the internet. Exit 1 for a finding."""
    found = False
    for audit in audit_all(ROOT):
        found = found or bool(audit.findings)
        for finding in audit.findings:
            console.print(f"  [red]✗[/] {audit.tool}: {escape(finding)}", soft_wrap=True)
        if audit.why:
            what = f"{audit.unasked} packages were" if audit.unasked else "all packages were"
            console.print(
                f"  [yellow]![/] {audit.tool}: {what} not asked about: {escape(audit.why)}",
                soft_wrap=True,
            )
        if audit.asked and not audit.findings:
            console.print(f"  [green]✓[/] {audit.tool}: nothing known of {audit.asked} packages")
    if found:
        raise typer.Exit(1)


if __name__ == "__main__":
    run_function(main)
