"""`make import FILE=…`: what it prints, what it writes; what it refuses leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stack.applied_config import wanted_config
from stack.collector_config.files import REDACTION_FILE
from stack.collector_config.text import CONFIG_FILE, parse
from stack.commands import import_
from stack.errors import StackError
from stack.fragments import VENDORS
from stack.published.reading import read_published
from stack.services import make_plan
from stack.settings import ROOT, load_settings

pytestmark = pytest.mark.collector

Import = Callable[..., None]

SECRET = "a1b2c3d4e5f6g7h8i9k0"
SNIPPET = f"""
exporters:
  otlphttp/acme:
    endpoint: https://in.acme.example
    headers: {{Authorization: Bearer {SECRET}, x-dataset: <dataset>}}
"""
IN_THE_URL = f"exporters: {{otlphttp/acme: {{endpoint: 'https://in.example/v1/{SECRET}'}}}}"
OF_THE_PROXY = SNIPPET.replace(
    "    headers", f"    proxy_url: http://me:{SECRET}@proxy.example\n    headers"
)


IN_A_HEADER_OF_ANY_NAME = SNIPPET.replace(f"Bearer {SECRET}", "none").replace("<dataset>", SECRET)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project's folder of its own, into which may be written."""
    root = tmp_path / "project"
    (root / VENDORS).mkdir(parents=True)
    for name in ("compose", "services", "emulators"):
        (root / name).symlink_to(ROOT / name)
    for file in (CONFIG_FILE, REDACTION_FILE):
        (root / file).write_bytes((ROOT / file).read_bytes())
    return root


@pytest.fixture
def import_file(
    root: Path, tmp_path: Path, binary: Path, monkeypatch: pytest.MonkeyPatch
) -> Import:
    monkeypatch.setattr(import_, "ROOT", root)
    monkeypatch.setattr(import_, "ensure_collector_binary", lambda _root: binary)

    def run(text: str, **options: str) -> None:
        file = tmp_path / "snippet.yaml"
        file.write_text(text)
        import_.run(file, **options)  # type: ignore[arg-type]

    return run


def written(root: Path) -> dict[str, str]:
    files = [root / CONFIG_FILE, *(root / VENDORS).iterdir()]
    return {str(file.relative_to(root)): file.read_text() for file in files}


def test_without_write_it_prints_the_fragment_and_writes_nothing(
    root: Path, import_file: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    before = written(root)

    import_file(SNIPPET)

    printed = capsys.readouterr()
    assert list(parse(printed.out, Path("out"))["exporters"]) == ["otlp_http/acme"]
    assert "ACME_TOKEN=  (Authorization in " in printed.err
    assert "ACME_DATASET=  (<dataset>)" in printed.err
    assert "WRITE=fragment" in printed.err
    assert written(root) == before


def test_a_fragment_that_was_written_is_one_to_choose(root: Path, import_file: Import) -> None:
    # when
    import_file(SNIPPET, write="fragment")
    # then
    with pytest.raises(StackError, match="ACME_TOKEN is not set"):
        wanted_config(make_plan(load_settings(root, {"WITH": "acme"}), root, "native"))
    (root / ".env").write_text("WITH=acme\nACME_TOKEN=x\nACME_DATASET=y\n")
    wanted = wanted_config(make_plan(load_settings(root, {}), root, "native"))
    assert "otlp_http/acme" in parse(wanted.config, Path("out"))["exporters"]


def test_into_the_config_every_comment_stays(root: Path, import_file: Import) -> None:
    before = (root / CONFIG_FILE).read_text()

    import_file(SNIPPET, write="config")

    after = (root / CONFIG_FILE).read_text()
    assert set(before.splitlines()) <= set(after.splitlines())
    assert "traces/acme" in parse(after, CONFIG_FILE)["service"]["pipelines"]
    assert list((root / VENDORS).iterdir()) == []


def test_processors_come_before_a_vendor_that_is_there_already(
    root: Path, import_file: Import
) -> None:
    import_file(
        """
exporters: {otlp: {endpoint: "api.honeycomb.io:443", headers: {x-honeycomb-team: "${KEY}"}}}
processors: {attributes/team: {actions: [{key: team, value: blue, action: insert}]}}
service: {pipelines: {traces: {processors: [attributes/team], exporters: [otlp]}}}
""",
        write="config",
    )

    after = (root / CONFIG_FILE).read_text()
    comments = [line for line in (ROOT / CONFIG_FILE).read_text().splitlines() if "#" in line]
    assert set(comments) <= set(after.splitlines())
    pipelines = parse(after, CONFIG_FILE)["service"]["pipelines"]
    assert pipelines["traces/honeycomb"]["processors"] == ["attributes/team"]
    assert "processors" not in pipelines["logs/honeycomb"]


@pytest.mark.parametrize("snippet", [SNIPPET, IN_THE_URL, OF_THE_PROXY, IN_A_HEADER_OF_ANY_NAME])
@pytest.mark.parametrize("write", ["", "fragment", "config"])
def test_a_key_in_the_file_is_repeated_nowhere(
    root: Path, import_file: Import, capsys: pytest.CaptureFixture[str], write: str, snippet: str
) -> None:
    import_file(snippet, **({"write": write} if write else {}))

    printed = capsys.readouterr()
    assert SECRET not in printed.out + printed.err + "".join(written(root).values())


def test_a_name_that_is_taken_is_refused(root: Path, import_file: Import) -> None:
    import_file(SNIPPET, write="fragment")
    before = written(root)

    elsewhere = SNIPPET.replace("acme.example", "acme-eu.example")

    with pytest.raises(StackError, match=r"acme\.yaml is there already; NAME= gives it another"):
        import_file(elsewhere, write="fragment")

    assert written(root) == before
    import_file(elsewhere, write="fragment", name="acme-eu")
    assert "  otlp_http/acme-eu:" in (root / VENDORS / "acme-eu.yaml").read_text()
    assert set(written(root)) == {*before, f"{VENDORS}/acme-eu.yaml"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "exporters: {otlphttp: {endpoint: 'https://a.example', compresion: gzip}}",
            "makes a config that the collector refuses: .*knows no setting compresion",
            id="what the collector refuses",
        ),
        pytest.param(
            "exporters: {prometheusremotewrite: {endpoint: 'https://a.example'}}",
            "exporter prometheusremotewrite: look whether the vendor takes OTLP",
            id="nothing for us",
        ),
        pytest.param("receivers: {otlp: null}", "holds no collector config", id="no exporter"),
        pytest.param("exporters: [", "snippet.yaml:1: broken YAML", id="broken"),
        pytest.param(
            "exporters: {debug: null}\n---\nexporters: {nop: null}",
            "holds 2 collector configs; leave one there",
            id="two",
        ),
    ],
)
def test_what_cannot_be_had_is_said_in_one_line_and_nothing_is_written(
    root: Path, import_file: Import, text: str, said: str
) -> None:
    before = written(root)

    with pytest.raises(StackError, match=said) as refused:
        import_file(text, write="fragment")

    assert "\n" not in str(refused.value)
    assert written(root) == before


def test_a_pattern_is_no_placeholder(
    import_file: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    selectors = "{metric_name_selectors: ['^[a-z]+$$'], dimensions: [[x]]}"
    import_file(f"exporters: {{awsemf/mine: {{metric_declarations: [{selectors}]}}}}")

    exporter = parse(capsys.readouterr().out, Path("out"))["exporters"]["awsemf/mine"]
    assert exporter["metric_declarations"][0]["metric_name_selectors"] == ["^[a-z]+$$"]


def test_aws_stays_emulated_until_it_is_live(
    import_file: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    import_file("exporters: {awsemf/mine: {namespace: mine, endpoint: 'https://logs.aws.example'}}")

    exporter = parse(capsys.readouterr().out, Path("out"))["exporters"]["awsemf/mine"]
    assert exporter["endpoint"] == "${env:CLOUDWATCH_LOGS_ENDPOINT:-}"


def test_a_name_leads_to_no_other_folder(root: Path, import_file: Import) -> None:
    with pytest.raises(
        StackError, match=r"cannot be called '\.\./x'; NAME= has lower-case letters"
    ):
        import_file(SNIPPET, write="fragment", name="../x")

    assert list((root / VENDORS).iterdir()) == []


def test_lines_are_counted_in_the_whole_file() -> None:
    text = "kind: ConfigMap\n---\nexporters:\n  otlp: {a: [}\n"

    with pytest.raises(StackError, match=r"map\.yaml:4: broken YAML"):
        read_published(text, Path("map.yaml"))
