"""The form for upstream's collectors, whose exporters for AWS have no queue."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from stack.collector_config.hop import through_a_hop
from stack.errors import StackError
from stack.routes import Route, front_receivers, routes

CONFIG = """
receivers: {otlp: {protocols: {http: {}}}}
processors: {memory_limiter: {}, cumulativetodelta: {}}
exporters:
  otlp_http/honeycomb: {endpoint: "https://api.honeycomb.io"}
  awsxray:
    region: us-east-1
    sending_queue: {storage: file_storage, batch: {max_size: 50}}
    retry_on_failure: {max_elapsed_time: 0}
  awsemf: {namespace: shop, sending_queue: {storage: file_storage}}
extensions: {file_storage: {}}
service:
  extensions: [file_storage]
  pipelines:
    traces: {receivers: [otlp], processors: [memory_limiter], exporters: [otlp_http/honeycomb]}
    traces/xray: {receivers: [otlp], exporters: [awsxray]}
    metrics:
      receivers: [otlp]
      processors: [memory_limiter, cumulativetodelta]
      exporters: [awsemf]
"""


def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(CONFIG)
    return loaded


def test_the_queue_is_another_exporters_that_leads_to_upstreams() -> None:
    whole = config()

    form, losses = through_a_hop(whole)

    exporters = form["exporters"]
    assert exporters["awsxray"] == {"region": "us-east-1"}
    assert exporters["awsemf"] == {"namespace": "shop"}
    assert exporters["otlp_http/to_xray"] == {
        "endpoint": "http://127.0.0.1:${env:AWS_HOP_PORT:-4319}",
        "compression": "none",
        "sending_queue": whole["exporters"]["awsxray"]["sending_queue"],
        "retry_on_failure": {"max_elapsed_time": 0},
    }
    assert len(losses) == 4
    assert "awsxray and awsemf" in losses[0]


def test_each_vendor_keeps_its_route_and_what_is_cleaned_before_it() -> None:
    form, _ = through_a_hop(config())

    # As the collector replaces the variable.
    form = yaml.safe_load(yaml.safe_dump(form).replace("${env:AWS_HOP_PORT:-4319}", "4319"))
    assert routes(form) == [
        Route("honeycomb", "traces", "otlp_http/honeycomb", "otlp_http/honeycomb"),
        Route("xray", "traces", "awsxray", "otlp_http/to_xray"),
        Route("cloudwatch", "metrics", "awsemf", "otlp_http/to_cloudwatch"),
    ]
    assert front_receivers(form) == ["otlp"]
    assert form["service"]["pipelines"]["metrics"] == {
        "receivers": ["otlp"],
        "processors": ["memory_limiter", "cumulativetodelta"],
        "exporters": ["otlp_http/to_cloudwatch"],
    }


def test_a_config_without_such_a_queue_stays_as_it_is() -> None:
    plain = config()
    for name in ("awsxray", "awsemf"):
        plain["exporters"][name] = {"region": "us-east-1"}

    assert through_a_hop(plain) == (plain, [])


def test_a_retry_without_a_queue_is_left_out() -> None:
    plain = config()
    for name in ("awsxray", "awsemf"):
        plain["exporters"][name] = {"retry_on_failure": {"max_elapsed_time": 0}}

    form, losses = through_a_hop(plain)

    assert form["exporters"]["awsxray"] == {}
    assert losses == []


def test_the_config_itself_is_left_alone() -> None:
    whole, untouched = config(), copy.deepcopy(config())

    through_a_hop(whole)

    assert whole == untouched


def test_two_exporters_that_would_get_each_others_spans_are_refused() -> None:
    two = config()
    two["exporters"]["awsxray/ireland"] = two["exporters"]["awsxray"]
    two["service"]["pipelines"]["traces"]["exporters"].append("awsxray/ireland")

    with pytest.raises(StackError, match=r"awsxray/ireland and awsxray would both get the traces"):
        through_a_hop(two)
