"""Whatever a client sends, the services answer it or say what is wrong with it: never a 500."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from cruddur import Config
from cruddur import create_app as create_backend
from flask.testing import FlaskClient
from hypothesis import example, given, settings
from hypothesis import strategies as st
from profiles import create_app as create_profiles

from tests.unit import fuzzing
from tests.unit.services.fake_profiles import REFUSES

quick = settings(fuzzing.quick, max_examples=200)
HALF_A_CHARACTER = "\ud800"
texts = st.text(st.characters(), max_size=30) | st.sampled_from(
    ["", " ", "\0", "%", "_", "'", HALF_A_CHARACTER, "x" * 2000]
)
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> list[FlaskClient]:
    """The backend, which takes what it is sent into a store of its own, and profiles-flask."""
    folder = tmp_path_factory.mktemp("fuzz")
    config = Config(database_url=f"sqlite:///{folder}/cruddur.db", profiles_url=REFUSES)
    return [create_backend(config).test_client(), create_profiles().test_client()]


def is_answered(client: FlaskClient, method: str, path: str, **how: Any) -> int:
    answer = client.open(path, method=method, **how)
    assert answer.status_code < 500, (method, path, how, answer.text[:300])
    if answer.status_code >= 400 and method != "HEAD":
        assert answer.json is not None
        assert answer.json["status"] == answer.status_code
        assert answer.json["message"]
    return answer.status_code


@quick
@given(
    body=st.binary(max_size=60)
    | trees.map(lambda tree: json.dumps(tree).encode())
    | st.dictionaries(st.sampled_from(["handle", "message", "ttl"]) | texts, trees).map(
        lambda fields: json.dumps({"handle": "bayko", "message": "m", **fields}).encode()
    ),
    kind=st.sampled_from(["application/json", "application/json; charset=x", "text/plain", ""]),
)
@example(body=b"[" * 8_000, kind="application/json")
@example(body=b'{"a":' * 980 + b"1" + b"}" * 980, kind="application/json")
@example(body=b'{"handle": "bayko", "message": "\\ud800"}', kind="application/json")
@example(body=b'{"handle": "bayko", "message": "\\u0000"}', kind="application/json")
@example(body=b'{"\\ud800": 1}', kind="application/json")
@example(body=b"\xff\xfe", kind="application/json")
def test_new_activities(services: list[FlaskClient], body: bytes, kind: str) -> None:
    [backend, _] = services

    status = is_answered(backend, "POST", "/api/activities", data=body, content_type=kind)

    assert status in (201, 400, 413, 422)
    assert is_answered(backend, "GET", "/api/activities/home") == 200


@quick
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"]),
    path=st.lists(
        st.sampled_from(
            ["api", "activities", "search", "home", "@worf", "@", "health-check", "..", ""]
        )
        | texts.map(lambda text: quote(text, errors="replace"))
        | st.sampled_from(["%ff", "%00", "%2e%2e", "%zz"]),
        max_size=5,
    ).map(lambda parts: "/" + "/".join(parts).lstrip("/")),
    query=st.sampled_from(["term", "handles"]).flatmap(
        lambda name: texts.map(lambda text: f"{name}={quote(text, errors='replace')}")
    )
    | st.sampled_from(["term=%ff", "term=%ed%a0%80", "term=a&term=b", "term=%00", "handles=%ff,a"]),
    headers=st.dictionaries(
        st.sampled_from(
            ["X-Cruddur-User", "Origin", "traceparent", "baggage", "X-Forwarded-For", "Accept"]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20),
    ),
)
@example(method="GET", path="/api/activities/search", query="term=%ed%a0%80", headers={})
@example(method="GET", path="/api/activities/search", query="term=%00", headers={})
@example(method="GET", path="/api/profiles", query="handles=%ff,a", headers={})
def test_paths_queries_and_headers(
    services: list[FlaskClient], method: str, path: str, query: str, headers: dict[str, str]
) -> None:
    for client in services:
        is_answered(client, method, f"{path}?{query}", headers=headers)
