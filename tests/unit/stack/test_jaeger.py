"""`make up WITH=jaeger` where there is no Jaeger."""

from __future__ import annotations

import socket

import pytest

from stack.errors import StackError
from stack.fragments import check_keys, load
from stack.jaeger import IMAGE, absent
from tests.ports import free_ports


def test_without_an_address_it_says_how_to_have_one() -> None:
    with pytest.raises(StackError) as refused:
        check_keys([load("jaeger")], {})
    said = str(refused.value)
    assert said.startswith("JAEGER_ENDPOINT is not set; collector/vendors/jaeger.yaml needs it")
    assert f"docker run --rm -p 127.0.0.1:16686:16686 -p 127.0.0.1:14317:4317 {IMAGE}" in said
    assert "https://www.jaegertracing.io/download/" in said
    assert "\n" not in said


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "http://127.0.0.1:{}", "localhost:{}"])
def test_where_one_answers_nothing_is_said(form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as jaeger:
        assert absent(form.format(jaeger.getsockname()[1]), "native", "otel-stack") == ""


@pytest.mark.parametrize("endpoint", ["127.0.0.1:{}", "https://127.0.0.1:{}", "nowhere.invalid:{}"])
def test_where_nobody_answers_it_says_how_to_have_one(endpoint: str) -> None:
    [port] = free_ports(1)
    given = endpoint.format(port)
    said = absent(given, "native", "otel-stack")
    assert said.startswith(f"nobody answers at JAEGER_ENDPOINT={given}; spans wait for it on disk")
    assert IMAGE in said


def test_a_container_does_not_look_for_it_in_itself() -> None:
    said = absent("127.0.0.1:14317", "docker", "otel-stack-a")
    assert "is the collector's own container" in said
    assert "--network otel-stack-a_default" in said
    assert absent("jaeger:4317", "docker", "otel-stack-a") == ""
