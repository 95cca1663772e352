"""Our components take upstream's places: under the same names, in manifest and sources alike."""

from __future__ import annotations

import re

import yaml

from stack.collector_build import SOURCES
from stack.settings import ROOT

KINDS = ("receivers", "processors", "exporters", "connectors", "extensions")


def test_manifest_and_sources_name_the_same_packages() -> None:
    manifest = yaml.safe_load((ROOT / SOURCES / "builder.yaml").read_text())
    sources = (ROOT / SOURCES / "components.go").read_text()

    named = {
        entry.get("import", entry["gomod"].split()[0])
        for kind in KINDS
        for entry in manifest[kind]
        if entry["gomod"].startswith("otel-stack/")
    }

    assert {"otel-stack/durable/otlphttp", "otel-stack/redaction"} <= named
    assert set(re.findall(r'"(otel-stack/\w+(?:/\w+)?)"', sources)) == named
