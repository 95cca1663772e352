"""Senders of OTLP that show the right thing, the wrong one, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc
import requests
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from stack.access import AUTHORITY, CERTIFICATE, KEY, TOKEN, Access
from stack.otlp_json import span

SECONDS = 60
VERIFY = ("verify", "--deadline=60")
"""With more patience than a person has, for a machine that others keep busy."""

NOBODY_HERE = "no connection"


@dataclass(frozen=True)
class Sender:
    """`trusts`, `shows`: folders with the authority and with the own certificate; None for neither
    TLS nor a certificate. `header`: the whole Authorization.
    """

    trusts: Path | None = None
    shows: Path | None = None
    header: str = ""

    @property
    def scheme(self) -> str:
        return "https" if self.trusts else "http"

    def send(self, port: int, trace_id: str) -> str:
        """One span by HTTP; the status as text, or that there was no connection."""
        with requests.Session() as session:
            session.trust_env = False
            if self.trusts:
                session.verify = str(self.trusts / AUTHORITY)
            if self.shows:
                session.cert = (str(self.shows / CERTIFICATE), str(self.shows / KEY))
            if self.header:
                session.headers["Authorization"] = self.header
            url = f"{self.scheme}://127.0.0.1:{port}/v1/traces"
            try:
                answer = session.post(url, json=span("sender", trace_id, "sent"), timeout=SECONDS)
            except requests.RequestException:
                return NOBODY_HERE
        return str(answer.status_code)

    def send_grpc(self, port: int, trace_id: str) -> str:
        """One span by gRPC; the name of the status."""
        request = trace_service_pb2.ExportTraceServiceRequest()
        scoped = request.resource_spans.add().scope_spans.add()
        scoped.spans.add(
            trace_id=bytes.fromhex(trace_id), span_id=bytes.fromhex(trace_id[:16]), name="sent"
        )
        metadata = [("authorization", self.header)] if self.header else []
        with self._channel(f"127.0.0.1:{port}") as channel:
            try:
                TraceServiceStub(channel).Export(request, timeout=SECONDS, metadata=metadata)  # type: ignore[no-untyped-call]
            except grpc.RpcError as refused:
                return str(refused.code().name)
        return "OK"

    def _channel(self, target: str) -> grpc.Channel:
        if not self.trusts:
            return grpc.insecure_channel(target)
        pair = (
            [(self.shows / name).read_bytes() for name in (KEY, CERTIFICATE)] if self.shows else []
        )
        authority = (self.trusts / AUTHORITY).read_bytes()
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(authority, *pair))


def bearer(access: Access) -> str:
    """The header of who has the token."""
    return f"Bearer {(access.client / TOKEN).read_text().strip()}"
