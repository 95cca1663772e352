"""What the collector's own receiver refused, and whose requests those were.

Only our own build counts it (collector/build/admission); of another collector nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.samples import Sample

from stack.console import ago
from stack.ledger import UNITS, read_samples, understood


@dataclass(frozen=True)
class Refusal:
    """Requests that were refused for one reason at one path, since the collector started.

    `last`: Unix time of the last of them. `user_agent`, `detail`: what its sender wrote, `detail`
    what of it was wrong. `why`: what is to be done.
    """

    receiver: str
    protocol: str
    reason: str
    path: str
    requests: int
    last: float
    user_agent: str
    detail: str
    why: str


@dataclass(frozen=True)
class Rejected:
    """Items that were left out of requests which were accepted without them."""

    receiver: str
    signal: str
    reason: str
    items: int


def read_refusals(
    metrics_url: str, receivers: Iterable[str]
) -> tuple[list[Refusal], list[Rejected]]:
    """The latest refusals first, of these receivers: a hop's own receiver refuses the collector
    itself, which keeps what it could not send. Raises StackError when the metrics cannot be read.
    """
    fronts = set(receivers)
    samples = read_samples(metrics_url)
    with understood(metrics_url):
        return (
            [one for one in _refusals(samples) if one.receiver in fronts],
            [one for one in _rejected(samples) if one.receiver in fronts],
        )


def _refusals(samples: Mapping[str, list[Sample]]) -> list[Refusal]:
    counts = {
        _key(sample): int(sample.value)
        for sample in samples.get("otelcol_receiver_refused_requests", ())
    }
    found = [
        Refusal(
            *_key(sample),
            counts.get(_key(sample), 0),
            float(sample.value),
            *(sample.labels.get(name, "") for name in ("user_agent", "detail", "why")),
        )
        for sample in samples.get("otelcol_receiver_refused_requests_last", ())
    ]
    return sorted(found, key=lambda one: -one.last)


def _key(sample: Sample) -> tuple[str, str, str, str]:
    said = sample.labels.get
    return said("receiver", ""), said("protocol", ""), said("reason", ""), said("path", "")


def _rejected(samples: Mapping[str, list[Sample]]) -> list[Rejected]:
    return [
        Rejected(
            sample.labels.get("receiver", ""),
            sample.labels.get("signal", ""),
            sample.labels.get("reason", ""),
            int(sample.value),
        )
        for sample in samples.get("otelcol_receiver_rejected_items", ())
        if sample.value
    ]


def about(refusal: Refusal, now: float) -> str:
    """What happened, in one sentence; `refusal.why` is what to do."""
    requests = "request" if refusal.requests == 1 else "requests"
    where = refusal.path
    if refusal.detail and refusal.detail != where:
        where += f" ({refusal.detail})"
    sender = refusal.user_agent or "a sender without a name"
    return (
        f"{refusal.requests} {requests} over {refusal.protocol} to {where} refused "
        f"({refusal.reason}), the last {ago(now - refusal.last)} from {sender}"
    )


def about_rejected(rejected: Rejected) -> str:
    """What was left out, in one sentence."""
    unit = UNITS.get(rejected.signal, "items").replace("_", " ")
    return (
        f"{rejected.items} {unit} left out of requests that were accepted ({rejected.reason}): "
        "the answer's partialSuccess said so"
    )


def sentences(
    refused: Iterable[Refusal], rejected: Iterable[Rejected], now: float
) -> list[tuple[str, str]]:
    """(receiver, what happened and what to do) of each."""
    return [
        *((one.receiver, f"{about(one, now)}: {one.why}") for one in refused),
        *((one.receiver, about_rejected(one)) for one in rejected),
    ]
