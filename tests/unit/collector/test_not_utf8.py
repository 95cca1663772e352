"""One sender's bytes that are no UTF-8 must not cost others what is in the same batch."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import requests
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from stack.waiting import wait_for
from tests.local_http import Handler, serve
from tests.unit.collector.running import attributes, plain, running, spans, trace

pytestmark = pytest.mark.collector

GOOD, BAD = "quoiXY", b"quoi\xff\xfe"


def test_text_that_is_no_utf_8_is_made_so(binary: Path, tmp_path: Path) -> None:
    """Receivers of protobuf may refuse the whole batch for it, and most do."""
    got: list[bytes] = []

    class Vendor(Handler):
        def respond(self) -> None:
            got.append(self.body())
            self.answer(200)

    held = {GOOD: GOOD, "list": [GOOD, "fine"], "token": GOOD}
    sent = trace(f"GET /{GOOD}", held, status={"message": GOOD}, traceState=f"v={GOOD}")
    sent["resourceSpans"][0]["resource"] = {"attributes": attributes(held)}
    body = ExportTraceServiceRequest()
    raw = bytes(range(128, 256))
    span = sent["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    del span["traceId"], span["spanId"]
    json_format.ParseDict(sent, body)
    span = body.resource_spans[0].scope_spans[0].spans[0]
    span.trace_id, span.span_id = b"t" * 16, b"s" * 8
    span.attributes.add(key="raw").value.bytes_value = raw
    with (
        serve(Vendor) as url,
        running(binary, tmp_path, environment={"HONEYCOMB_ENDPOINT": url}) as collector,
    ):
        answer = requests.post(
            f"{collector.otlp}/v1/traces",
            data=body.SerializeToString().replace(GOOD.encode(), BAD),
            headers={"Content-Type": "application/x-protobuf"},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        wait_for("the batch at the vendor", lambda: got, seconds=60)
        written = collector.wait_for_file("traces", "GET /quoi")

    # Raises DecodeError at a string that is none.
    arrived = ExportTraceServiceRequest.FromString(gzip.decompress(got[0]))
    span = arrived.resource_spans[0].scope_spans[0].spans[0]
    assert span.name == "GET /quoi\ufffd"
    by_name = {one.key: one.value for one in span.attributes}
    assert by_name["quoi\ufffd"].string_value == "quoi\ufffd"
    assert by_name["raw"].bytes_value == raw
    [local] = spans(written).values()
    assert plain(local["attributes"])["token"] == "****"
    assert json.loads(written)
