"""The ledger: what was accepted, and what each vendor got of it, from the collector's metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from stack.errors import StackError
from stack.routes import Route

UNITS = {"traces": "spans", "metrics": "metric_points", "logs": "log_records"}
"""What each signal is counted in, as the collector's metrics name it."""


@dataclass(frozen=True)
class Entry:
    """One vendor and signal since the collector started. Spans, data points or log records.

    `accepted`: by the collector from the app. `sent`: acknowledged by the vendor.
    `failed`: refused for good by the vendor, whole batches and what it took out of one.
    `dropped`: the vendor's queue was full.
    `exporter`, `queue`: ids in the collector's config, as in `Route`.
    `queued`: batches (requests, where the queue is not sized by items) that wait.
    `missing`: whether the queue's file is gone and could not be written again, so that what waits
    is lost at the next stop. `renewed`: how often it was deleted and written again.
    """

    vendor: str
    signal: str
    exporter: str
    queue: str
    accepted: int
    sent: int
    queued: int
    queue_capacity: int
    failed: int
    dropped: int
    missing: bool = False
    renewed: int = 0


@dataclass(frozen=True)
class Intake:
    """What one receiver was sent of a signal since the collector started.

    `refused`: what did not get past it. `in_progress`: spans that had not ended yet, in none of the
    other numbers; each is accepted when it is sent with its end.
    """

    receiver: str
    signal: str
    accepted: int
    refused: int
    in_progress: int = 0


def read_ledger(metrics_url: str, routes: Iterable[Route], receivers: Iterable[str]) -> list[Entry]:
    """The ledger of a running collector.

    `receivers` are those that the app sends to; a hop's own receiver would count twice.
    Raises StackError when the collector's metrics cannot be read.
    """
    samples = read_samples(metrics_url)
    fronts = set(receivers)
    with understood(metrics_url):
        return [_entry(samples, route, fronts) for route in routes]


def read_intakes(metrics_url: str, receivers: Iterable[tuple[str, str]]) -> list[Intake]:
    """What each receiver was sent of each signal. Raises StackError as `read_ledger` does."""
    samples = read_samples(metrics_url)
    with understood(metrics_url):
        return [_intake(samples, name, signal) for name, signal in receivers]


def read_samples(metrics_url: str) -> Mapping[str, list[Sample]]:
    """A running collector's own metrics by name. Raises StackError when they cannot be read."""
    import requests  # noqa: PLC0415

    try:
        answer = requests.get(metrics_url, timeout=5)
        answer.raise_for_status()
    except requests.RequestException as failed:
        raise StackError(
            f"the collector's metrics on {metrics_url} cannot be read ({failed})",
            "see `make status` and `make logs`",
        ) from None
    with understood(metrics_url):
        return _by_name(answer.text)


@contextmanager
def understood(metrics_url: str) -> Iterator[None]:
    """Raises StackError where a metric is no number that it can be."""
    try:
        yield
    except (ValueError, OverflowError) as broken:
        raise StackError(
            f"what {metrics_url} answers is no collector's metrics ({broken})".replace("\n", " "),
            "is something else on that port? `make doctor` tells",
        ) from None


def about_queue_files(entries: Iterable[Entry]) -> tuple[str, str]:
    """What is to be said of queues' files that are gone, and of those that are written again.

    Each is one sentence, or "" where there are none.
    """
    all_of_them = list(entries)
    gone = ", ".join(f"{one.vendor} ({one.signal})" for one in all_of_them if one.missing)
    renewed = ", ".join(f"{one.vendor} ({one.signal})" for one in all_of_them if one.renewed)
    return (
        f"the file of a queue is gone and cannot be written again: {gone}; what waits is lost at "
        "the next stop"
        if gone
        else "",
        f"the file of a queue was deleted while the collector ran, and is written again: {renewed}"
        if renewed
        else "",
    )


def _total(samples: Mapping[str, list[Sample]], metric: str, **labels: str) -> int:
    return int(
        sum(
            sample.value
            for sample in samples.get(f"otelcol_{metric}", ())
            if all(sample.labels.get(name) == value for name, value in labels.items())
        )
    )


def _intake(samples: Mapping[str, list[Sample]], receiver: str, signal: str) -> Intake:
    unit = UNITS[signal]
    total = partial(_total, samples, receiver=receiver)
    return Intake(
        receiver=receiver,
        signal=signal,
        accepted=total(f"receiver_accepted_{unit}"),
        refused=total(f"receiver_refused_{unit}") + total(f"receiver_failed_{unit}"),
        in_progress=total(f"receiver_in_progress_{unit}"),
    )


def _entry(samples: Mapping[str, list[Sample]], route: Route, fronts: set[str]) -> Entry:
    unit = UNITS[route.signal]
    total = partial(_total, samples)
    accepted = sum(total(f"receiver_accepted_{unit}", receiver=front) for front in fronts)
    stages = {route.exporter, route.queue}
    own_queue = {"exporter": route.queue, "data_type": route.signal}
    # These, and what is said of the queue's file, are our own build's (collector/build/durable);
    # elsewhere there are none.
    refused = sum(total(f"exporter_refused_{unit}", exporter=stage) for stage in stages)
    rescued = sum(total(f"exporter_rescued_{unit}", exporter=stage) for stage in stages)
    requeued = total(f"exporter_requeued_{unit}", exporter=route.exporter)
    full = sum(total(f"exporter_enqueue_failed_{unit}", exporter=stage) for stage in stages)
    return Entry(
        vendor=route.vendor,
        signal=route.signal,
        exporter=route.exporter,
        queue=route.queue,
        accepted=accepted,
        sent=total(f"exporter_sent_{unit}", exporter=route.exporter) - refused - requeued,
        queued=total("exporter_queue_size", **own_queue),
        queue_capacity=total("exporter_queue_capacity", **own_queue),
        # Upstream's awsxray counts attempts, which the hop before it repeats; loss is the hop's.
        failed=total(f"exporter_send_failed_{unit}", exporter=route.queue) + refused,
        dropped=full - rescued,
        missing=total("exporter_queue_file_missing", **own_queue) > 0,
        renewed=total("exporter_queue_file_renewed", **own_queue),
    )


def _by_name(text: str) -> dict[str, list[Sample]]:
    """Samples by name without the `_total` that newer collectors add to counters."""
    found: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name.removesuffix("_total"), []).append(sample)
    return found
