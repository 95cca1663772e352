"""Whatever stands in a file, our parsers read it or say what is wrong in one line."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stack import ledger, telemetry
from stack.collector_config.distribution import KINDS
from stack.collector_config.text import CONFIG_FILE, go_memory_limit, parse
from stack.env_file import ENV_FILE
from stack.errors import StackError
from stack.fragments import Fragment, merge
from stack.published.reading import read_published
from stack.published.turning import Imported, turn
from stack.replay import FOLDER, read_letters
from stack.routes import routes
from stack.settings import ROOT, load_settings
from tests.unit import fuzzing

quick = settings(fuzzing.quick, max_examples=50)
SMALL = "receivers: {otlp: {}}\nexporters: {debug: {}}\nservice:\n  extensions: []\n"
BASE = (ROOT / CONFIG_FILE).read_text()
ROUTES = routes(parse(BASE, Path("base.yaml")))
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


def one_line(error: StackError) -> bool:
    return "\n" not in str(error).strip() and bool(str(error).strip())


def written(name: str, content: bytes) -> Path:
    path = Path(tempfile.mkdtemp()) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    (folder / CONFIG_FILE.parent).mkdir()
    (folder / CONFIG_FILE).write_text(BASE)
    return folder


names = st.sampled_from(
    ["HONEYCOMB_API_KEY", "OTLP_HTTP_PORT", "BACKEND_PORT", "WITH", "PAGE", "AWS_TELEMETRY", "X"]
)


@quick
@given(
    content=st.binary(max_size=60)
    | st.lists(st.tuples(names, st.text(max_size=12)), max_size=4).map(
        lambda lines: "\n".join(f"{name}={value}" for name, value in lines).encode()
    )
)
@example(content=b"\xff\xfe")
@example(content=b"BACKEND_PORT=99999999999999999999")
@example(content=b'PAGE="')
def test_env_files(root: Path, content: bytes) -> None:
    (root / ENV_FILE).write_bytes(content)
    try:
        load_settings(root, {})
    except StackError as error:
        assert str(error).strip()  # noqa: PT017


@quick
@given(text=st.text(max_size=80) | trees.map(json.dumps))
@example(text="receivers: &a [*a]")
@example(text="a: !!python/object:os.system x")
@example(text="{" * 5000)
def test_configs(text: str) -> None:
    try:
        config = parse(text, Path("config.yaml"))
    except StackError as error:
        assert str(error).strip()  # noqa: PT017
    else:
        go_memory_limit(config)


@quick
@given(tree=st.dictionaries(st.sampled_from(["exporters", "service", "receivers", "x"]), trees))
def test_fragments(tree: dict[str, Any]) -> None:
    text = json.dumps(tree)
    try:
        merged = merge(SMALL, [Fragment("f", "f.yaml", text, parse(text, Path("f.yaml")))])
    except StackError as error:
        assert str(error).strip()  # noqa: PT017
    else:
        assert parse(merged, Path("merged.yaml"))


parts = st.dictionaries(st.sampled_from(["otlp", "otlphttp/x", "awsxray", "batch", ""]), trees)


@quick
@given(
    tree=st.fixed_dictionaries(
        {"exporters": parts},
        optional={"processors": parts | trees, "extensions": trees, "service": trees},
    )
)
@example(tree={"exporters": {"otlp": {"endpoint": "http://[x", "headers": [1], "auth": "y"}}})
@example(tree={"exporters": {"otlp": {"endpoint": "http://1.2.3.4:5", "headers": {"k": "<a>\nb"}}}})
@example(tree={"exporters": {"otlp": {}}, "service": {"pipelines": {"traces": ["otlp"]}}})
@example(tree={"exporters": {"awsxray": None}, "service": {"pipelines": {"traces": "x"}}})
def test_published_configs(tree: dict[str, Any]) -> None:
    file = Path("published.yaml")
    has = {kind: frozenset({"otlp_grpc", "otlp_http", "awsxray"}) for kind in KINDS}
    base = parse(BASE, Path("base.yaml"))
    try:
        config = read_published(json.dumps(tree), file)
        imported = turn(config, Imported("", file.name), base, has, ROOT)
    except StackError as error:
        assert one_line(error)  # noqa: PT017
    else:
        assert yaml.safe_load(imported.fragment.text) == imported.tree


@quick
@given(content=st.binary(max_size=200) | trees.map(lambda tree: json.dumps(tree).encode() + b"\n"))
@example(content=b'{"exporter":1}\n')
@example(content=b"\xff\n")
@example(content=b"[" * 100_000)
def test_dead_letters(content: bytes) -> None:
    path = written(f"{FOLDER}/otlp_http_honeycomb/1-1-traces.letter", content)
    try:
        [letter] = read_letters(path.parents[1])
    except StackError as error:
        assert one_line(error)  # noqa: PT017
    else:
        assert letter.header.exporter is not None
        assert isinstance(letter.data, bytes)


spans = st.fixed_dictionaries(
    {},
    optional={
        "traceId": st.text(max_size=3),
        "name": st.text(max_size=3),
        "kind": st.integers(-5, 99),
        "status": st.fixed_dictionaries({}, optional={"code": st.integers(-5, 99)}),
        "attributes": st.lists(
            st.fixed_dictionaries({}, optional={"key": st.text(max_size=3), "value": st.just({})})
        ),
    },
)
records = spans.map(
    lambda span: json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
)


@quick
@given(
    content=st.binary(max_size=100) | st.just(b"[1]") | st.just(b'{"resourceSpans":'), whole=records
)
def test_the_local_record(content: bytes, whole: bytes) -> None:
    """A sender may leave out what it likes, and a full disk may cut a line off."""
    path = written("traces.jsonl", content.replace(b"\n", b"") + b"\n" + whole + b"\n")
    [span] = telemetry.read_spans(path)
    assert span.kind in telemetry.KINDS
    assert telemetry.read_points(path) == []
    assert telemetry.read_logs(path) == []


@quick
@given(
    text=st.text(max_size=60)
    | st.lists(
        st.sampled_from(
            [
                "# TYPE otelcol_exporter_sent_spans counter",
                'otelcol_exporter_sent_spans{exporter="otlp_http/honeycomb"} 1',
                'otelcol_exporter_sent_spans{exporter="otlp_http/honeycomb"} NaN',
                'otelcol_exporter_queue_size{exporter="x} 1',
                "otelcol_receiver_accepted_spans +Inf",
                "otelcol_receiver_accepted_spans",
            ]
        ),
        max_size=4,
    ).map("\n".join)
)
@example(text='otelcol_exporter_sent_spans{exporter="otlp_http/honeycomb"} NaN')
def test_the_collectors_metrics(text: str) -> None:
    answer = requests.Response()
    answer.status_code = 200
    answer._content = text.encode(errors="replace")
    answer.encoding = "utf-8"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("requests.get", lambda *_, **__: answer)
        try:
            ledger.read_ledger("http://127.0.0.1:1", ROUTES, {"otlp"})
        except StackError as error:
            assert one_line(error)  # noqa: PT017
