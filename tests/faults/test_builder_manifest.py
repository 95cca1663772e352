"""Our exporters take upstream's places: under the same names, in manifest and sources alike."""

from __future__ import annotations

import re

import yaml

from stack.collector_build import SOURCES
from stack.settings import ROOT

OWN = {"otlphttp", "awscloudwatchlogs", "awsemf", "awsxray", "file"}


def test_manifest_and_sources_name_the_same_packages() -> None:
    manifest = yaml.safe_load((ROOT / SOURCES / "builder.yaml").read_text())
    sources = (ROOT / SOURCES / "components.go").read_text()

    named = {
        entry["import"].rpartition("/")[2]
        for entry in manifest["exporters"]
        if entry["gomod"].startswith("otel-stack/durable")
    }

    assert named == OWN
    assert set(re.findall(r'"otel-stack/durable/(\w+)"', sources)) == OWN
