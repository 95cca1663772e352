"""Why a service did not continue a trace, and what to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """`code`: `not_instrumented`, `wrong_endpoint`, `unsampled`, `other_propagator`, `refused`,
    `left_out` or `nothing_came`.
    """

    code: str
    what: str
    todo: str


def unsampled(what: str) -> Reason:
    return Reason(
        "unsampled",
        f"{what}: its sampler leaves the trace out",
        "start it with OTEL_TRACES_SAMPLER=parentbased_always_on, or look at the sampler in its "
        "code",
    )


def other_propagator(what: str, reads: str) -> Reason:
    return Reason(
        "other_propagator",
        f"{what}, and not traceparent",
        f"start it with OTEL_PROPAGATORS=tracecontext,baggage{reads and f',{reads}'}, or look at "
        "the propagator in its code",
    )
