"""Every fragment is whole, clean and isolated; all of them together are one valid config."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.collector_config.distribution import missing_components
from stack.collector_config.text import env_defaults
from stack.collector_config.validation import validate
from stack.fragments import Fragment, all_variables, load, merge, names, required_keys, variables
from stack.routes import vendor
from stack.settings import ROOT, Settings
from tests.unit.collector.running import CONFIG, NO_VENDORS, PATTERNS
from tests.unit.fragments.expectations import NO_EXPORTER, WANTED

BASE: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
FRAGMENTS = [load(name, ROOT) for name in names(ROOT)]


@pytest.fixture(params=FRAGMENTS, ids=lambda fragment: fragment.name)
def fragment(request: pytest.FixtureRequest) -> Fragment:
    found: Fragment = request.param
    return found


def test_the_contrib_distribution_can_run_it(fragment: Fragment) -> None:
    assert missing_components(fragment.tree, "contrib") == []


def test_a_vendor_is_an_exporter_and_pipelines_of_its_own_behind_the_cleaning(
    fragment: Fragment,
) -> None:
    for name, pipeline in fragment.tree["service"]["pipelines"].items():
        signal, _, whose = name.partition("/")
        assert whose == fragment.name or whose.startswith(f"{fragment.name}-")
        if fragment.name in NO_EXPORTER:
            own = fragment.tree["processors"]
            assert pipeline["processors"][0] == "memory_limiter"
            assert [one for one in pipeline["processors"] if one not in own] == (
                BASE["service"]["pipelines"][signal]["processors"]
            )
        else:
            assert "processors" not in fragment.tree
            assert pipeline["receivers"] == ["forward/clean"]
            assert set(pipeline.get("processors", ())) <= {"cumulativetodelta"}


def test_each_exporter_waits_on_disk_and_tries_for_ever(fragment: Fragment) -> None:
    for exporter in fragment.tree.get("exporters", {}).values():
        queue = exporter["sending_queue"]
        assert exporter["retry_on_failure"]["max_elapsed_time"] == 0
        assert queue["storage"] == "file_storage"
        assert queue["batch"]["max_size"] > queue["batch"]["min_size"] > 0


def test_the_vendor_is_called_as_the_file(fragment: Fragment) -> None:
    exporters = fragment.tree.get("exporters", {})

    assert {vendor(exporter) for exporter in exporters} <= {fragment.name}


def test_every_extension_is_switched_on(fragment: Fragment) -> None:
    listed = fragment.tree["service"].get("extensions", [])

    assert listed == list(fragment.tree.get("extensions", {}))


def test_its_head_names_every_variable_and_no_other(fragment: Fragment) -> None:
    head = fragment.text.partition("\n\n")[0]
    own = set(variables(fragment)) - set(env_defaults(CONFIG.read_text()))

    assert own <= set(re.findall(r"[A-Z][A-Z0-9_]{3,}", head))
    assert set(re.findall(r"^#   ([A-Z][A-Z0-9_]+) ", head, re.MULTILINE)) <= set(
        variables(fragment)
    )


def test_no_default_in_the_head_differs_from_the_one_in_the_text(fragment: Fragment) -> None:
    head = fragment.text.partition("\n\n")[0]
    told = dict(re.findall(r"^#   ([A-Z][A-Z0-9_]+) +\(([^)]*)\)", head, re.MULTILINE))

    assert told == {name: variables(fragment)[name] for name in told}


def test_without_settings_it_sends_to_the_vendor_itself(fragment: Fragment) -> None:
    found = []
    for exporter in fragment.tree.get("exporters", {}).values():
        endpoint = next(value for key, value in exporter.items() if key.endswith("endpoint"))
        found.append(re.sub(r"\$\{env:\w+(?::-([^}]*))?\}", lambda match: match[1] or "", endpoint))

    assert tuple(found) == (WANTED[fragment.name].hosts if found else ())


def test_all_together_are_a_config_that_the_collector_takes(binary: Path, tmp_path: Path) -> None:
    # given
    keys = {name: "http://127.0.0.1:1" for one in FRAGMENTS for name in required_keys(one)}
    keys |= {name: str(CONFIG) for name in keys if name.endswith("_FILE")}
    config = tmp_path / "config.yaml"
    # when
    config.write_text(merge(CONFIG.read_text(), FRAGMENTS))
    # then
    validate(binary, [config, PATTERNS], {**NO_VENDORS, **keys, "AWS_REGION": "eu-central-1"})
    env_defaults(config.read_text())


def test_merging_keeps_every_line_of_the_base() -> None:
    merged = merge(CONFIG.read_text(), FRAGMENTS).splitlines()

    changed = [line for line in CONFIG.read_text().splitlines() if line not in merged]

    assert [line.strip().partition(":")[0] for line in changed] == ["extensions"]


def test_a_fragments_names_clash_with_no_setting() -> None:
    own = {name.upper() for name in Settings.model_fields}

    # A region and credentials are one for all of AWS.
    assert not {name for name in all_variables(ROOT) & own if not name.startswith("AWS_")}
