"""The trace service over gRPC, with bytes in and bytes out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import grpc

from tests.faults.harness.bench import Bench

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@contextlib.contextmanager
def export(bench: Bench, **options: int) -> Iterator[Callable[..., bytes]]:
    """`export(body, timeout=…)`. Raises grpc.RpcError for every status but OK."""
    port = bench.plan.settings.port("OTLP_GRPC_PORT")
    arguments = [(f"grpc.{name}", value) for name, value in options.items()]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=arguments) as channel:
        yield channel.unary_unary(
            METHOD, request_serializer=lambda body: body, response_deserializer=lambda body: body
        )


def status(call: Callable[..., bytes], body: bytes, **how: object) -> str:
    """`OK`, or the name of the status."""
    try:
        call(body, **{"timeout": 30, **how})
    except grpc.RpcError as failed:
        return str(failed.code().name)
    return "OK"
