"""`make sbom`: what is shipped, and what builds it, as one CycloneDX document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from stack.collector_build import BINARY, GO_LOCK, ensure_collector_binary, linked_modules
from stack.console import console
from stack.entry import run_function
from stack.page_build import SOURCES as PAGE
from stack.settings import ROOT
from tools.lock import LOCKS

BILL = Path("sbom.cdx.json")
NOT_SHIPPED = ("requirements-dev.txt", "tools/test_machine/requirements.txt", str(GO_LOCK))
"""Locks of what builds and tests; the rest of these packages is in no image."""

_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
_BASE = re.compile(r"^ARG \w+_IMAGE=([^\s:]+):(\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """`part`: the file that locks it, or what it is part of."""

    url: PackageURL
    part: str
    shipped: bool = True


def write_bill(root: Path) -> int:
    """Write the bill anew; returns how many packages it lists. Builds the collector when needed.

    Raises StackError.
    """
    ensure_collector_binary(root)
    packages = [*locked_packages(root), *collector_modules(root)]
    text, count = bill(packages)
    (root / BILL).write_text(text)
    return count


def locked_packages(root: Path) -> Iterator[Package]:
    """Everything that a file of this project pins or names."""
    for name in (*(f"{lock}.txt" for lock in LOCKS), str(GO_LOCK)):
        for package, version in _PINNED.findall((root / name).read_text()):
            url = PackageURL("pypi", None, package.lower().replace("_", "-"), version)
            yield Package(url, name, shipped=name not in NOT_SHIPPED)
    yield from _npm(root)
    for file in sorted(root.glob("**/Dockerfile")):
        if "node_modules" in file.parts or ".run" in file.parts:
            continue
        part = str(file.relative_to(root))
        for image, version in _BASE.findall(file.read_text()):
            shipped = not image.startswith("golang")
            yield Package(PackageURL("docker", None, image, version), part, shipped)


def _npm(root: Path) -> Iterator[Package]:
    lock = json.loads((root / PAGE / "package-lock.json").read_text())
    for path, entry in lock["packages"].items():
        name = path.rpartition("node_modules/")[2]
        if not name:
            continue  # the page itself
        namespace, _, short = name.rpartition("/")
        url = PackageURL("npm", namespace or None, short, entry["version"])
        shipped = not entry.get("dev")
        yield Package(url, str(PAGE / "package-lock.json"), shipped)


def collector_modules(root: Path) -> Iterator[Package]:
    """The Go modules in the collector's binary, as the binary itself tells."""
    for module, version in linked_modules(root):
        namespace, _, name = module.rpartition("/")
        yield Package(PackageURL("golang", namespace, name, version), str(BINARY.name))


def bill(packages: Iterable[Package]) -> tuple[str, int]:
    """The document, and how many packages it lists; the same for the same packages."""
    parts: dict[str, list[Package]] = {}
    for package in packages:
        parts.setdefault(package.url.to_string(), []).append(package)
    document = Bom(components=[_component(found) for found in parts.values()])
    tree = json.loads(JsonV1Dot6(document).output_as_string())
    # Both change with each run, and would hide what has changed.
    del tree["serialNumber"], tree["metadata"]["timestamp"]
    return json.dumps(tree, indent=1, sort_keys=True) + "\n", len(parts)


def _component(found: list[Package]) -> Component:
    url = found[0].url
    kind = ComponentType.CONTAINER if url.type == "docker" else ComponentType.LIBRARY
    shipped = any(package.shipped for package in found)
    return Component(
        name=url.name,
        group=url.namespace,
        version=url.version,
        type=kind,
        purl=url,
        bom_ref=url.to_string(),
        scope=ComponentScope.REQUIRED if shipped else ComponentScope.EXCLUDED,
        properties=[
            Property(name="otel-stack:part", value=part)
            for part in sorted({package.part for package in found})
        ],
    )


def main() -> None:
    """List every package that is shipped, and those that build it, in sbom.cdx.json."""
    count = write_bill(ROOT)
    console.print(f"{BILL} lists {count} packages")


if __name__ == "__main__":
    run_function(main)
