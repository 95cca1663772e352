"""WITH in `.env` or the environment: what it takes, what it refuses, what the collector gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulators.otlp.settings import Settings as EmulatorSettings
from stack.applied_config import wanted_config
from stack.collector_config.files import REDACTION_FILE, ConfigTexts
from stack.errors import StackError
from stack.fragments import load, merge, names
from stack.runtimes.native import checked_config
from stack.services import Plan, make_plan
from stack.settings import ROOT, load_settings

ELASTIC = {
    "WITH": "elastic",
    "ELASTIC_OTLP_ENDPOINT": "https://here.elastic.example",
    "ELASTIC_API_KEY": "only-a-secret",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project's folder of its own: what is read, linked; `.env` and `.run` are its own."""
    for name in ("compose", "services", "emulators", "requirements.txt"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "collector").mkdir()
    (tmp_path / "collector/vendors").symlink_to(ROOT / "collector/vendors")
    (tmp_path / "collector/otel-config.yaml").write_bytes(
        (ROOT / "collector/otel-config.yaml").read_bytes()
    )
    (tmp_path / REDACTION_FILE).symlink_to(ROOT / REDACTION_FILE)
    return tmp_path


def plan(root: Path, environment: dict[str, str], runtime: str = "native") -> Plan:
    return make_plan(load_settings(root, environment), root, runtime)


def variables(root: Path, environment: dict[str, str], runtime: str = "native") -> dict[str, str]:
    return dict(plan(root, environment, runtime).process("collector").environment)


@pytest.mark.parametrize(
    "written", ["jaeger,new-relic", "jaeger new-relic", " jaeger , new-relic,", "jaeger\nnew-relic"]
)
def test_names_stand_apart_by_commas_or_blanks(root: Path, written: str) -> None:
    assert load_settings(root, {"WITH": written}).fragments == ("jaeger", "new-relic")


def test_one_named_twice_comes_once(root: Path) -> None:
    assert load_settings(root, {"WITH": "jaeger,jaeger"}).fragments == ("jaeger",)


def test_an_unknown_name_is_refused_with_a_suggestion(root: Path) -> None:
    with pytest.raises(StackError) as refused:
        load_settings(root, {"WITH": "newrelic"})

    assert "newrelic" in refused.value.what
    assert refused.value.todo == "did you mean new-relic?"


def test_the_keys_may_stay_in_the_env_file_while_the_vendor_is_not_chosen(root: Path) -> None:
    # given
    lines = [f"{name}={value}" for name, value in ELASTIC.items() if name != "WITH"]
    (root / ".env").write_text("\n".join(lines))
    # when
    without = variables(root, {})
    chosen = variables(root, {"WITH": "elastic"})
    # then
    assert not {"ELASTIC_API_KEY", "ELASTIC_OTLP_ENDPOINT"} & set(without)
    assert chosen["ELASTIC_API_KEY"] == "only-a-secret"


def test_a_misspelled_key_is_found_before_anything_starts(root: Path) -> None:
    # given
    (root / ".env").write_text("ELASTIC_API_KY=x\n")
    # then
    with pytest.raises(StackError) as refused:
        load_settings(root, {})
    assert refused.value.todo == "did you mean ELASTIC_API_KEY?"


@pytest.mark.parametrize("missing", [name for name in ELASTIC if name != "WITH"])
def test_a_key_that_is_not_set_is_named(root: Path, missing: str) -> None:
    # given
    given = {name: value for name, value in ELASTIC.items() if name != missing}
    # then
    with pytest.raises(StackError) as refused:
        wanted_config(plan(root, given))
    assert refused.value.what == (f"{missing} is not set; collector/vendors/elastic.yaml needs it")


def test_an_empty_key_in_the_env_file_is_named_with_its_line(root: Path) -> None:
    # given
    (root / ".env").write_text("WITH=elastic\nELASTIC_API_KEY=\n")
    # then
    with pytest.raises(StackError, match=r"ELASTIC_API_KEY is empty \(\.env line 2\)"):
        load_settings(root, {})


def test_no_key_is_shown_by_what_holds_it(root: Path) -> None:
    chosen = plan(root, ELASTIC)

    assert ELASTIC["ELASTIC_API_KEY"] not in repr(chosen)
    assert ELASTIC["ELASTIC_API_KEY"] not in repr(chosen.settings)


def test_defaults_are_given_too_so_that_a_trial_beside_it_can_move_its_ports(root: Path) -> None:
    assert variables(root, {"WITH": "xray-daemon"})["XRAY_DAEMON_UDP_PORT"] == "2000"
    assert variables(root, {"WITH": "xray-daemon", "XRAY_DAEMON_UDP_PORT": "2009"})[
        "XRAY_DAEMON_UDP_PORT"
    ] == ("2009")


@pytest.mark.parametrize(("runtime", "host"), [("native", "127.0.0.1"), ("docker", "emulators")])
def test_aws_is_played_until_it_is_live(root: Path, runtime: str, host: str) -> None:
    # when
    given = variables(root, {"WITH": "xray-otlp cloudwatch-otlp"}, runtime)
    # then
    url = f"http://{host}:{EmulatorSettings().port}"
    assert given["XRAY_OTLP_ENDPOINT"] == f"{url}/v1/traces"
    assert given["CLOUDWATCH_OTLP_LOGS_ENDPOINT"] == f"{url}/v1/logs"
    assert given["CLOUDWATCH_OTLP_METRICS_ENDPOINT"] == f"{url}/v1/metrics"


def test_live_aws_is_that_of_the_region(root: Path) -> None:
    # given
    live = {"AWS_TELEMETRY": "live", "AWS_REGION": "eu-west-3", "WITH": "xray-otlp,cloudwatch-otlp"}
    # when
    given = variables(root, live)
    # then
    assert given["XRAY_OTLP_ENDPOINT"] == "https://xray.eu-west-3.amazonaws.com/v1/traces"
    assert given["CLOUDWATCH_OTLP_METRICS_ENDPOINT"] == (
        "https://monitoring.eu-west-3.amazonaws.com/v1/metrics"
    )


def test_without_fragments_the_edited_files_themselves_are_what_runs(root: Path) -> None:
    chosen = plan(root, {})

    assert wanted_config(chosen) == ConfigTexts(
        chosen.config_source.read_text(), (root / REDACTION_FILE).read_text()
    )


@pytest.mark.collector
def test_a_mistake_is_shown_in_the_file_that_people_edit(root: Path, binary: Path) -> None:
    # given
    source = root / "collector/otel-config.yaml"
    source.write_text(source.read_text().replace("  otlp_http/honeycomb:", "  otlp_htp/honeycomb:"))
    line = 1 + source.read_text().splitlines().index("  otlp_htp/honeycomb:")
    chosen = plan(root, {**ELASTIC, "COLLECTOR_BIN": str(binary)})
    # when
    with pytest.raises(StackError) as refused:
        checked_config(chosen)
    # then
    assert refused.value.what.startswith(f"{source}:{line}: ")


@pytest.mark.collector
def test_a_mistake_in_a_fragment_is_shown_there(root: Path, binary: Path) -> None:
    # given
    folder = root / "collector/vendors"
    texts = {name: (folder / f"{name}.yaml").read_text() for name in names(ROOT)}
    folder.unlink()
    folder.mkdir()
    texts["elastic"] = texts["elastic"].replace("queue_size", "queue_sise")
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    chosen = plan(root, {**ELASTIC, "COLLECTOR_BIN": str(binary)})
    # when
    with pytest.raises(StackError) as refused:
        checked_config(chosen)
    # then
    line = 1 + texts["elastic"].partition("queue_sise")[0].count("\n")
    assert refused.value.what.startswith(f"{folder / 'elastic.yaml'}:{line}: ")


def paste(root: Path, what: str) -> None:
    """A vendor pasted into the config by hand, as docs/swap-a-vendor.md says."""
    source = root / "collector/otel-config.yaml"
    source.write_text(merge(source.read_text(), [load(what, ROOT)]))


def test_the_keys_of_a_vendor_that_is_pasted_reach_the_collector(root: Path) -> None:
    # given
    paste(root, "elastic")
    lines = [f"{name}={value}" for name, value in ELASTIC.items() if name != "WITH"]
    (root / ".env").write_text("\n".join(lines))
    # when
    chosen = plan(root, {})
    # then
    given = chosen.process("collector").environment
    assert given["ELASTIC_API_KEY"] == ELASTIC["ELASTIC_API_KEY"]
    assert ELASTIC["ELASTIC_API_KEY"] not in repr(chosen)
    wanted_config(chosen)


def test_a_name_that_only_the_config_knows_can_be_set(root: Path) -> None:
    # given
    source = root / "collector/otel-config.yaml"
    source.write_text(source.read_text().replace("limit_mib: 160", "limit_mib: ${env:MY_MIB}"))
    (root / ".env").write_text("MY_MIB=200\n")
    # then
    assert variables(root, {})["MY_MIB"] == "200"


def test_a_key_that_the_config_names_and_nobody_set_is_named_with_its_line(root: Path) -> None:
    # given
    paste(root, "new-relic")
    source = root / "collector/otel-config.yaml"
    lines = source.read_text().splitlines()
    line = 1 + next(n for n, text in enumerate(lines) if "${env:NEW_RELIC_LICENSE_KEY}" in text)
    # then
    with pytest.raises(StackError) as refused:
        wanted_config(plan(root, {}))
    assert refused.value.what == (f"NEW_RELIC_LICENSE_KEY is not set; {source}:{line} needs it")
