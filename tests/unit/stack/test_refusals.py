"""Whose refusals a user is told."""

from __future__ import annotations

import pytest

from stack import refusals

METRICS = """\
# TYPE otelcol_receiver_refused_requests counter
otelcol_receiver_refused_requests{path="/",protocol="http",reason="path",receiver="otlp"} 2
otelcol_receiver_refused_requests{path="/v1/metrics",protocol="http",reason="busy",receiver="otlp/aws"} 23
# TYPE otelcol_receiver_refused_requests_last gauge
otelcol_receiver_refused_requests_last{path="/",protocol="http",reason="path",receiver="otlp",user_agent="shop/1",detail="",why="no path"} 100
otelcol_receiver_refused_requests_last{path="/v1/metrics",protocol="http",reason="busy",receiver="otlp/aws",user_agent="otelcol",detail="",why="no room"} 200
# TYPE otelcol_receiver_rejected_items counter
otelcol_receiver_rejected_items{reason="unknown",receiver="otlp",signal="traces"} 3
otelcol_receiver_rejected_items{reason="unknown",receiver="otlp/aws",signal="traces"} 4
"""  # noqa: E501 - as a collector prints them


class Answer:
    text = METRICS

    @staticmethod
    def raise_for_status() -> None:
        """It is fine."""


def test_what_a_hop_refuses_is_not_told_as_a_senders(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vendor that fails makes its hop's receiver refuse the collector itself, many times."""
    # given
    monkeypatch.setattr("requests.get", lambda _url, **_options: Answer)
    # when
    refused, rejected = refusals.read_refusals("http://127.0.0.1:8888/metrics", ["otlp"])
    # then
    assert [(one.receiver, one.requests, one.user_agent) for one in refused] == [
        ("otlp", 2, "shop/1")
    ]
    assert [(one.receiver, one.items) for one in rejected] == [("otlp", 3)]
