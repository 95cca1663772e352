"""Answers that upstream takes for a delivery, or for the end of one."""

from __future__ import annotations

import gzip
import json
from contextlib import ExitStack
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from stack.waiting import wait_for
from tests.local_http import Handler, serve
from tests.unit.collector.running import running, trace

pytestmark = pytest.mark.collector

KEY = "key-of-the-tests"


@pytest.mark.parametrize("status", [200, 301, 302, 307, 308])
def test_who_is_not_the_vendor_gets_no_key_and_is_no_delivery(
    binary: Path, tmp_path: Path, status: int
) -> None:
    """Upstream follows with the key; it counts a page, and what a GET is answered with, as sent."""
    strangers: list[str] = []
    answers: list[int] = []
    delivered: list[bytes] = []

    class Stranger(Handler):
        def respond(self) -> None:
            self.body()
            strangers.append(self.headers.get("x-honeycomb-team", ""))
            self.answer(200)

    class Vendor(Handler):
        def respond(self) -> None:
            body = self.body()
            if strange:
                answers.append(status)
                page = {"Content-Type": "text/html; charset=utf-8"}
                self.answer(status, b"<p>Sign in", page if status == 200 else {"Location": other})
                return
            delivered.append(body)
            self.answer(200)

    strange = True
    with ExitStack() as stack:
        other = stack.enter_context(serve(Stranger))
        vendor = stack.enter_context(serve(Vendor))
        ours = {"HONEYCOMB_ENDPOINT": vendor, "HONEYCOMB_API_KEY": KEY}
        collector = stack.enter_context(running(binary, tmp_path, environment=ours))
        collector.post("traces", trace("GET /kept"))
        wait_for("a second attempt", lambda: len(answers) > 1, seconds=60)
        strange = False

        wait_for("the span at the vendor", lambda: delivered, seconds=60)

    assert b"GET /kept" in gzip.decompress(delivered[0])
    assert strangers == []
    assert not list(tmp_path.rglob("*.letter"))
    assert "is the endpoint right?" in collector.log
    assert KEY not in collector.log


def test_what_is_too_large_for_a_vendor_is_sent_in_several_requests(
    binary: Path, tmp_path: Path
) -> None:
    """Upstream drops the batch: all of what others sent with what was large."""
    limit = 10_000
    delivered: list[str] = []

    class Vendor(Handler):
        def respond(self) -> None:
            body = gzip.decompress(self.body())
            if len(body) > limit:
                self.answer(413)
                return
            asked = ExportTraceServiceRequest.FromString(body)
            delivered.extend(
                span.name
                for resource in asked.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            )
            self.answer(200)

    names = [f"GET /{number}" for number in range(40)]
    request = trace("GET /fat", {"app.text": "fat " * limit})
    for name in names:
        request["resourceSpans"] += trace(name, {"app.text": "some " * 200})["resourceSpans"]
    with ExitStack() as stack:
        vendor = stack.enter_context(serve(Vendor))
        ours = {"HONEYCOMB_ENDPOINT": vendor, "HONEYCOMB_API_KEY": KEY}
        collector = stack.enter_context(running(binary, tmp_path, environment=ours))
        collector.post("traces", request)

        wait_for("the spans at the vendor", lambda: {*delivered}, until={*names}.__le__, seconds=60)
        [letter] = wait_for("the dead letter", lambda: list(tmp_path.rglob("*.letter")), seconds=60)

        head = json.loads(letter.read_bytes().partition(b"\n")[0])
        assert sorted(delivered) == sorted(names)
        assert (head["items"], head["refused"], head["status"]) == (1, 1, 413)
