"""What a forked child must not take along."""

from __future__ import annotations

import threading

from opentelemetry import metrics


def count_from_zero() -> None:
    """Drop the parent's totals, which a child with an identity of its own would count again."""
    consumer = getattr(metrics.get_meter_provider(), "_measurement_consumer", None)
    if consumer is None:
        return
    # The parent's exporting thread may have held it.
    consumer._lock = threading.Lock()  # noqa: SLF001
    for reader in list(consumer._reader_storages):  # noqa: SLF001
        # It puts an empty one in the place of the reader's storage.
        consumer.add_metric_reader(reader)
